"""The configuration of `--demo`: the site that the twin simulates."""

from twisted_gantry.wire.etc.envelope import TEST_AUTH

# As DESIGN.md describes it; the credentials are the twin's.
DEMO = f"""
[gantry]
id = "G000211001002110010"
name = "演示门架 demo gantry"

[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:2390"
battery_ah = 40

[[device]]
name = "ups2"
kind = "ups-card-http"
url = "http://127.0.0.1:2380/"
callback = "http://127.0.0.1:9000/post"
battery_ah = 40

[[device]]
name = "cfos"
kind = "cfos"
url = "http://127.0.0.1:4700"
user = "admin"
password = "1234abcd"

[[device]]
name = "bms1"
kind = "bms"
url = "http://127.0.0.1:4800/wad/ems/v1/api"
device_uid = "bms-0001"

[[device]]
name = "cab1"
kind = "cabinet"
url = "http://127.0.0.1:3700/remotecontrol.do"
auth = "{TEST_AUTH}"

[[device]]
name = "pc1"
kind = "computer"

[[cabinet]]
id = "1"
elec = ["ups1", "ups2"]
ups = ["ups1", "ups2"]
rectifier = "cab1"
air_conditioners = "cab1"
thermohygrometer = "cab1"
waterlogging_sensor = "cab1"
doors = "cab1"
smoke_sensor = "cab1"
thunder_spd = "cab1"

[uplink.etc]
url = "http://127.0.0.1:8088/monitor.do"
auth = "{TEST_AUTH}"

[uplink.fogslink]
address = "tcp:127.0.0.1:63321"
eq_sn = "12345678"
api_key = "1234567890123456"
[uplink.fogslink.channels]
"P0-C1" = "ups1.input_voltage_r"

[remotecontrol]
listen = "tcp:3699:interface=127.0.0.1"

[monitor]
listen = "tcp:8082:interface=127.0.0.1"
auth = "{TEST_AUTH}"
"""
