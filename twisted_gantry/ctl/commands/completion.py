"""`gantryctl completion`: the completion script of a shell."""

import click
from click.shell_completion import ShellComplete, get_completion_class

from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.help import Command

_NAME = "gantryctl"
SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command, short_help="Shell completion. · 生成命令补全脚本")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script for SHELL that completes commands, options and names of the gantry.

    输出 SHELL 的补全脚本：补全命令、选项，以及运行中门架程序的名称。

    \b
      bash   eval "$(gantryctl completion bash)"             in · 写入 ~/.bashrc
      zsh    eval "$(gantryctl completion zsh)"              in · 写入 ~/.zshrc
      fish   gantryctl completion fish | source              in · 写入 config.fish

    The names come from the gantry of GANTRY_URL, or of the options on the line, if it answers
    within a second.

    名称取自 GANTRY_URL 或命令行选项指定的门架程序；一秒内无应答则不补全。
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click has these three
    made = kind(context.find_root().command, {}, _NAME, f"_{_NAME}_COMPLETE".upper())
    click.echo(ShellComplete.source(made))  # the subclass for bash would run a bash for its version
    return Exit.FINE
