// What the groups of a report say, in words: names, units, codes of the ETC document.

import { size } from "./shared/format.js";
import { inLanguage, words } from "./shared/language.js";
import { MANAGE } from "./texts_manage.js";

const GROUPS = {
  elec: ["Mains", "市电"], rectifier: ["Rectifier", "整流模块"], ups: ["UPS", "UPS"],
  airConditioners: ["Air conditioner", "空调"], thermohygrometer: ["Climate", "温湿度"],
  waterloggingSensor: ["Water", "水浸"], doors: ["Doors", "柜门"], smokeSensor: ["Smoke", "烟雾"],
  thunderSpd: ["Surge arrester", "防雷器"], "": ["Computer", "计算机"],
};
const GOOD = { 0: ["abnormal", "异常", "bad"], 1: ["normal", "正常", "good"] };
const ALARM = { 0: ["none", "无", "good"], 1: ["ALARM", "报警", "bad"] };
const YES = { 0: ["no", "否", ""], 1: ["yes", "是", ""] };
const SHUT = { 0: ["open", "打开", "bad"], 1: ["closed", "关闭", "good"] };
const LOCKED = { 0: ["unlocked", "未锁", "bad"], 1: ["locked", "已锁", "good"] };
const UNLOCKED = { 0: ["locked", "已锁", ""], 1: ["card", "刷卡", ""], 2: ["remote", "远程", ""], 3: ["key", "钥匙", ""] };
// Member: name, unit or codes.
const MEMBERS = {
  status: [["State", "状态"], GOOD],
  voltage: [["Voltage", "电压"], "V"], current: [["Current", "电流"], "A"], power: [["Power", "功率"], "kW"],
  frequency: [["Frequency", "频率"], "Hz"], elecConsumption: [["Energy", "电量"], "kWh"],
  warningMsg: [["Warning", "告警信息"], ""], errorMsg: [["Error", "故障信息"], ""],
  currentLimiting: [["Limits current", "限流"], YES],
  outputVoltage: [["Discharge voltage", "放电电压"], "V"], outputCurrent: [["Discharge current", "放电电流"], "A"],
  outputPower: [["Output power", "输出功率"], "kW"],
  inputVoltage: [["Charge voltage", "充电电压"], "V"], inputCurrent: [["Charge current", "充电电流"], "A"],
  runningState: [["Battery", "电池"], {
    1: ["float charge", "浮充", ""], 2: ["equalising charge", "均充", ""], 3: ["discharging", "放电", "bad"],
    4: ["charging", "充电", ""], 5: ["testing", "测试", ""] }],
  powerRate: [["Load", "负载率"], "%"], surplusTime: [["Time left", "剩余时间"], "min"],
  remainCapacity: [["Capacity left", "剩余容量"], "Ah"], temperature: [["Temperature", "温度"], "°C"],
  humidity: [["Humidity", "湿度"], "%"], isWorking: [["Runs", "运行"], YES],
  workMode: [["Mode", "模式"], { 0: ["ventilation", "送风", ""], 1: ["cooling", "制冷", ""], 2: ["heating", "制热", ""] }],
  systemWarning: [["System", "系统"], GOOD], temperatureWarning: [["Temperature alarm", "温度告警"], GOOD],
  isWarning: [["Alarm", "报警"], ALARM], warningChangeTime: [["Changed", "变化时间"], ""],
  defendMode: [["Guard", "布防"], YES],
  frontDoorClosed: [["Front door", "前门"], SHUT], frontDoorLocked: [["Front lock", "前门锁"], LOCKED],
  backDoorClosed: [["Back door", "后门"], SHUT], backDoorLocked: [["Back lock", "后门锁"], LOCKED],
  frontDoorOpenIllegally: [["Front opened illegally", "前门非法开门"], ALARM],
  backDoorOpenIllegally: [["Back opened illegally", "后门非法开门"], ALARM],
  frontDoorUnlockType: [["Front unlocked by", "前门开锁方式"], UNLOCKED], backDoorUnlockType: [["Back unlocked by", "后门开锁方式"], UNLOCKED],
  frontDoorChangeTime: [["Front changed", "前门变化时间"], ""], backDoorChangeTime: [["Back changed", "后门变化时间"], ""],
  frontDoorUnlockCardId: [["Front card", "前门卡号"], ""], backDoorUnlockCardId: [["Back card", "后门卡号"], ""],
  lightningCount: [["Strikes", "雷击次数"], ""],
  cpuUsage: [["CPU", "CPU"], "%"], memoryUsage: [["Memory", "内存"], "%"], sysDiskUsage: [["System disk", "系统盘"], "%"],
  dataDiskUsage: [["Data disk", "数据盘"], "%"], netUsage: [["Network", "网络"], "%"],
  sysDiskSize: [["System disk size", "系统盘容量"], "KiB"], dataDiskSize: [["Data disk size", "数据盘容量"], "KiB"],
  memorySize: [["Memory size", "内存容量"], "KiB"],
  isMonitorComputer: [["Monitors", "监测计算机"], YES], isMainComputer: [["Main computer", "主用计算机"], YES],
  cpuTemperature: [["CPU temperature", "CPU 温度"], "°C"], ip: [["Address", "地址"], ""],
};
// A rectifier's output feeds the load; that of a UPS is its battery's discharge.
const RECTIFIER = { outputVoltage: ["Output voltage", "输出电压"], outputCurrent: ["Output current", "输出电流"] };
const MOST = 60; // lines of a group

// Return `[{title, rows: [{label, said, tone}, …]}, …]` of a report's content, whatever is in it.
export function valueGroups(content) {
  if (Array.isArray(content)) return content.map((each) => group("", each)).filter(Boolean);
  return Object.entries(content ?? {}).flatMap(([key, each]) => {
    if (Array.isArray(each)) return each.map((one) => group(key, one));
    return each !== null && typeof each === "object" ? [group(key, each)] : [];
  }).filter(Boolean);
}

function group(key, members) {
  if (members === null || typeof members !== "object") return null;
  const title = Object.hasOwn(GROUPS, key) ? inLanguage(GROUPS[key]) : key;
  const rows = Object.entries(members).filter(([name]) => name !== "id").slice(0, MOST)
    .filter(([, value]) => value !== "" && value !== "NotSupport")
    .map(([name, value]) => line(key, name, value));
  if (!rows.length) return null;
  return { title: members.id === undefined ? title : `${title} ${members.id}`, rows };
}

function line(key, name, value) {
  const [label, kind] = Object.hasOwn(MEMBERS, name) ? MEMBERS[name] : [[name, name], ""];
  const own = key === "rectifier" && Object.hasOwn(RECTIFIER, name) ? RECTIFIER[name] : label;
  const said = typeof value === "object" ? JSON.stringify(value) : String(value);
  const { quality } = words(MANAGE);
  if (Object.hasOwn(quality, said)) return { label: inLanguage(own), said: quality[said], tone: "none" };
  if (typeof kind === "object") {
    const found = Object.hasOwn(kind, said) ? kind[said] : [said, said, ""];
    return { label: inLanguage(own), said: inLanguage(found), tone: found[2] };
  }
  if (kind === "KiB" && Number.isFinite(Number(said))) {
    return { label: inLanguage(own), said: size(Number(said) * 1024), tone: "" };
  }
  return { label: inLanguage(own), said: `${said} ${kind}`.trim(), tone: "" };
}
