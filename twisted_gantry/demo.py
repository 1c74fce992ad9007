"""The configuration of `--demo`: the site that the twin simulates."""

from twisted_gantry.wire.etc import TEST_AUTH

# As DESIGN.md describes it, as far as the kinds of device go today.
DEMO = f"""
[gantry]
id = "G000211001002110010"
name = "演示门架 demo gantry"

[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:2390"
battery_ah = 100

[[device]]
name = "pc1"
kind = "computer"

[[cabinet]]
id = "1"
elec = ["ups1"]
ups = ["ups1"]

[uplink.etc]
url = "http://127.0.0.1:8088/monitor.do"
auth = "{TEST_AUTH}"
"""
