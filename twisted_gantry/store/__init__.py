"""What must outlive the process: SQLite behind `IStore`."""
