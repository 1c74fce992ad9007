"""Tables for people: CSV and workbooks, streamed. Knows neither the web nor the core nor the centre."""
