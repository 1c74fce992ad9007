"""The history of points: samples, packed into blocks and rolled up into coarser tiers."""
