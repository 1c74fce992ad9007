"""Tables for people: CSV and workbooks, streamed. Knows neither web, core nor centre."""
