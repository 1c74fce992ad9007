"""SQLite behind `IStore` and `IHistory`: data that outlives the process.

One thread owns each database; a report is deleted on its acknowledgement alone.
"""
