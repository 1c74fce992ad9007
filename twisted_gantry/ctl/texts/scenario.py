"""The texts of `scenario`, in English and in Chinese."""

from collections.abc import Mapping

SCENARIO: Mapping[str, tuple[str, str]] = {
    # Headers of tables
    "after": ("After (s)", "用时（秒）"),
    "at-simulated": ("At (s)", "时刻（秒）"),
    "expectation": ("Expectation", "期望"),
    "fastest": ("Speed up to", "最高倍速"),
    "happens": ("What happens", "事件"),
    "length": ("Length (s)", "时长（秒）"),
    "step": ("Step", "步骤"),
    "title": ("Title", "标题"),
    "verdict": ("Verdict", "结论"),
    "within": ("Within (s)", "时限（秒）"),
    # Verdicts
    "verdict-waiting": ("waiting", "未到"),
    "verdict-pending": ("pending", "等待中"),
    "verdict-met": ("met", "符合"),
    "verdict-missed": ("MISSED", "不符合"),
    "verdict-not-judged": ("not judged", "未判定"),
    # States of a run
    "run-running": ("running", "进行中"),
    "run-done": ("done", "已结束"),
    "run-stopped": ("stopped", "已停止"),
    "run-failed": ("failed", "失败"),
    # Single lines
    "run-line": (
        "{name}: {state}, {elapsed} of {length} s at speed {speed}; step {done} of {steps}",
        "{name}：{state}，{elapsed}/{length} 秒，倍速 {speed}；步骤 {done}/{steps}",
    ),
    "run-error": ("error: {error}", "错误：{error}"),
    "run-kept": (
        "As expected: all {count} expectations are met.",
        "符合期望：{count} 项全部符合。",
    ),
    "run-not-kept": (
        "Not as expected: {met} of {count} expectations are met.",
        "不符合期望：{count} 项中符合 {met} 项。",
    ),
    "run-left": (
        "Stopped: its faults have ended, the simulated world stays as it is.",
        "已停止：其故障已结束，模拟世界保持现状。",
    ),
    "run-none": ("No scenario has run.", "没有运行过场景。"),
    "scenario-line": (
        "{name}  {title}  {length} s, at speed {fastest} at the most",
        "{name}  {title}  {length} 秒，最高倍速 {fastest}",
    ),
}
