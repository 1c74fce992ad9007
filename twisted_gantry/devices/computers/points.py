"""The points of a computer: the fields of `computerStatusUpdate`.

Source: the ETC document, section 2.1. Sizes are KiB (8388608 is 8 GiB), usages %.
"""

from twisted_gantry.core.catalogue import PointType
from twisted_gantry.wire.reading import Quality, Value

IDENTITY = (
    PointType("id", "", "Number", "设备编号"),
    PointType("is_monitor_computer", "", "Is the monitoring computer", "是否为监控机"),
    PointType("is_main_computer", "", "Is the main computer", "是否是主工控机"),
)
MEASUREMENTS = (
    PointType("sys_disk_usage", "%", "System disk usage", "系统盘使用率"),
    PointType("sys_disk_size", "KiB", "System disk size", "总系统盘容量"),
    PointType("data_disk_usage", "%", "Data disk usage", "数据盘使用率"),
    PointType("data_disk_size", "KiB", "Data disk size", "总数据盘容量"),
    PointType("memory_usage", "%", "Memory usage", "内存占用率"),
    PointType("memory_size", "KiB", "Memory size", "总内存大小"),
    PointType("net_usage", "%", "Network usage", "网络使用率"),
    PointType("cpu_usage", "%", "CPU usage", "CPU使用率"),
    PointType("cpu_temperature", "°C", "CPU temperature", "CPU温度"),
    PointType("ip", "", "IP address", "主机IP"),
)
POINTS = (*IDENTITY, *MEASUREMENTS)

Measured = tuple[Value, Quality]
NOT_SUPPORTED: Measured = (None, Quality.NOT_SUPPORTED)


def good(value: Value) -> Measured:
    return (value, Quality.GOOD)
