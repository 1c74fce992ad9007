"""Files that the pages of gantry and centre share, served below `shared/`: they know neither."""
