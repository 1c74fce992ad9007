"""The points of a computer: the fields of `computerStatusUpdate`.

Source: the ETC document, section 2.1. Sizes are KiB (8388608 is 8 GiB), usages %.
"""

from twisted_gantry.core.bounds import CELSIUS, PERCENT, Bounds
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.wire.reading import Quality, Value

_SIZE = Bounds(0, 1e15)  # KiB

IDENTITY = (
    PointType("id", "", "Number", "设备编号"),
    PointType("is_monitor_computer", "", "Is the monitoring computer", "是否为监控机"),
    PointType("is_main_computer", "", "Is the main computer", "是否是主工控机"),
)
MEASUREMENTS = (
    PointType("sys_disk_usage", "%", "System disk usage", "系统盘使用率", PERCENT),
    PointType("sys_disk_size", "KiB", "System disk size", "总系统盘容量", _SIZE),
    PointType("data_disk_usage", "%", "Data disk usage", "数据盘使用率", PERCENT),
    PointType("data_disk_size", "KiB", "Data disk size", "总数据盘容量", _SIZE),
    PointType("memory_usage", "%", "Memory usage", "内存占用率", PERCENT),
    PointType("memory_size", "KiB", "Memory size", "总内存大小", _SIZE),
    PointType("net_usage", "%", "Network usage", "网络使用率", PERCENT),
    PointType("cpu_usage", "%", "CPU usage", "CPU使用率", PERCENT),
    PointType("cpu_temperature", "°C", "CPU temperature", "CPU温度", CELSIUS),
    PointType("ip", "", "IP address", "主机IP"),
)
POINTS = (*IDENTITY, *MEASUREMENTS)

Measured = tuple[Value, Quality]
NOT_SUPPORTED: Measured = (None, Quality.NOT_SUPPORTED)


def good(value: Value) -> Measured:
    return (value, Quality.GOOD)
