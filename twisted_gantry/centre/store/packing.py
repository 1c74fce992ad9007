"""Bodies of reports as they are stored: compressed against a dictionary of what every report says.

The dictionary halves the size of a row and is part of the format of the database: it never changes.
A better one would be `_SECOND`; a stream names its dictionary by a checksum.
"""

import zlib

_FIRST = (
    b'{"req200":{"eqSN":"CS0001","packID":"1","totalSize":"2","eqType":"128","eqData":[{"eChan'
    b'":"P1-C1","eChanSta":"1","eVal":"220.0"},{"eChan":"P1-C2","eChanSta":"1","eVal":"1"},{"g'
    b'antryId":"G000211001002110010","method":"computerStatusUpdate","timeStamp":"1564734526",'
    b'"version":"1001","computerStatus":[{"id":"1","isMonitorComputer":"0","isMainComputer":"1'
    b'","sysDiskUsage":"99.99","sysDiskSize":"10485760","dataDiskUsage":"99.99","dataDiskSize"'
    b':"10485760","memoryUsage":"99.99","memorySize":"8388608","netUsage":"99.99","cpuUsage":"'
    b'99.99","cpuTemperature":"40","ip":"192.168.1.1"},{"id":"2","isMonitorComputer":"0","isMa'
    b'inComputer":"0","sysDiskUsage":"99.99","sysDiskSize":"10485760","dataDiskUsage":"99.99",'
    b'"dataDiskSize":"10485760","memoryUsage":"99.99","memorySize":"8388608","netUsage":"99.99'
    b'","cpuUsage":"99.99","cpuTemperature":"40","ip":"192.168.1.2"}]}{"gantryId":"G0002110010'
    b'02110010","method":"cabinetStatusUpdate","timeStamp":"1564734526","version":"1001","cabi'
    b'netStatus":{"id":"1","elec":[{"id":"1","status":"1","voltage":"220","current":"10","powe'
    b'r":"10","frequency":"50","elecConsumption":"100","warningMsg":""}],"rectifier":[{"id":"1'
    b'","status":"1","currentLimiting":"0","outputVoltage":"50","outputCurrent":"10","outputPo'
    b'wer":"20","warningMsg":""}],"ups":[{"id":"1","status":"1","runningState":"1","inputVolta'
    b'ge":"220","inputCurrent":"10","outputVoltage":"220","outputCurrent":"10","powerRate":"99'
    b'","surplusTime":"3600","remainCapacity":"100","temperature":"40","warningMsg":""}],"airC'
    b'onditioners":[{"id":"1","status":"1","errorMsg":"","isWorking":"1","workMode":"1","syste'
    b'mWarning":"1","temperatureWarning":"1"},{"id":"2","status":"1","errorMsg":"","isWorking"'
    b':"1","workMode":"1","systemWarning":"1","temperatureWarning":"1"}],"thermohygrometer":{"'
    b'status":"1","temperature":"40","humidity":"20"},"waterloggingSensor":{"status":"1","isWa'
    b'rning":"0","warningChangeTime":"2019-08-28 14:11:01.321"},"doors":{"status":"1","defendM'
    b'ode":"0","frontDoorClosed":"1","frontDoorLocked":"1","frontDoorUnlockType":"0","frontDoo'
    b'rUnlockCardId":"NoData","frontDoorOpenIllegally":"0","frontDoorChangeTime":"2019-08-28 0'
    b'1:15:01.321","backDoorClosed":"1","backDoorLocked":"1","backDoorUnlockType":"0","backDoo'
    b'rUnlockCardId":"NoData","backDoorOpenIllegally":"0","backDoorChangeTime":"2019-08-28 01:'
    b'17:01.321"},"smokeSensor":{"status":"1","isWarning":"0","warningChangeTime":"2019-08-28 '
    b'20:12:01.321"},"thunderSpd":[{"id":"1","status":"1","lightningCount":"1"}]}}'
)

_LEVEL = 1
_MEMORY = 6  # a small state is copied faster; bodies are a few kB
_primed = zlib.compressobj(_LEVEL, zlib.DEFLATED, 13, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _FIRST)
_reader = zlib.decompressobj(zdict=_FIRST)


def packed(body: bytes) -> bytes:
    """Return a body as it is stored."""
    stream = _primed.copy()
    return stream.compress(body) + stream.flush()


def unpacked(column: bytes) -> bytes:
    """Return the body of a report that is stored. Raises zlib.error for other bytes."""
    stream = _reader.copy()
    return stream.decompress(column) + stream.flush()
