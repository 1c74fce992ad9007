"""`gantryctl centre` itself: where the centre is, unless somebody says so."""

import click
from click.core import ParameterSource

from twisted_gantry.ctl.centre.files import export, import_
from twisted_gantry.ctl.centre.order import command
from twisted_gantry.ctl.centre.views import gantries, incidents, ledger, status
from twisted_gantry.ctl.help import Group
from twisted_gantry.ctl.session import Session

URL = "http://127.0.0.1:8090"


@click.group(cls=Group, short_help="The centre of many gantries. · 多门架中心")
@click.pass_context
def centre(context: click.Context) -> None:
    """Show and operate a centre: without --url the one at http://127.0.0.1:8090.

    查看和操作多门架中心；未给出 --url 时为 http://127.0.0.1:8090。
    """
    if context.find_root().get_parameter_source("url") is ParameterSource.DEFAULT:
        context.ensure_object(Session).url = URL


for _command in (status, gantries, incidents, ledger, import_, export, command):
    centre.add_command(_command)
