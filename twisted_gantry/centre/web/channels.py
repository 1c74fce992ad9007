"""Fogslink channels: their last values, and the settings that people ask of devices."""

from twisted_gantry.centre.interfaces import IReportStore, Session
from twisted_gantry.centre.store import audit, channel_wishes, channels, cloud_sessions
from twisted_gantry.centre.store.channel_wishes import ChannelWish, WrongWish
from twisted_gantry.centre.web.call import Call
from twisted_gantry.net.http.json import HttpError
from twisted_gantry.net.times import TimeText
from twisted_gantry.wire import centre_orders as api
from twisted_gantry.wire.fogslink.messages import State

MOST_WISHES = 100
"""Settings of a gantry that are shown."""


class ChannelAnswers:
    """Answers about channels, and takes settings for them."""

    def __init__(self, store: IReportStore, time: TimeText) -> None:
        self._store, self._time = store, time

    async def listed(self, call: Call) -> api.ChannelsList:
        road, limit, after = call.text("road"), call.limit(), call.after()
        roads = call.scope.roads

        def job(session: Session) -> list[api.ChannelsOf]:
            where, values = ["eq_sn <> ''", "pending = 0", "id > ?"], list[object]()
            values.append(str(after[0]) if after else "")
            if road:
                where.append("road = ?")
                values.append(road)
            if roads is not None:
                where.append("road {in}")
                values.append(sorted(roads))
            rows = session.rows(
                f"SELECT id FROM gantries WHERE {' AND '.join(where)} ORDER BY id LIMIT ?",  # noqa: S608
                *(*values, limit + 1),
            )
            return self._of(session, [row[0] for row in rows])

        found = await self._store.read(job)
        more = (found[limit - 1].gantry,) if len(found) > limit else None
        return api.ChannelsList(found[:limit], call.cursor(more))

    def _of(self, session: Session, ids: list[str]) -> list[api.ChannelsOf]:
        live = {each.gantry: each.since for each in cloud_sessions.connected(session, ids)}
        known = channels.channels_of_each(session, ids)
        return [
            api.ChannelsOf(
                each,
                self._time(live.get(each)),
                len(known.get(each, ())),
                sum(channel.state != State.NORMAL for channel in known.get(each, ())),
            )
            for each in ids
        ]

    async def one(self, call: Call) -> api.ChannelValues:
        def job(session: Session) -> api.ChannelValues:
            gantry = call.scope.gantry(session, call.parts["gantry"]).id
            live = cloud_sessions.session_of(session, gantry)
            return api.ChannelValues(
                gantry,
                self._time(None if live is None else live.since),
                [
                    api.ChannelView(each.name, each.state, each.value, self._time(each.stamp))
                    for each in channels.channels_of(session, gantry)
                ],
                [
                    self._wish(each)
                    for each in channel_wishes.wishes_of(session, gantry, MOST_WISHES)
                ],
            )

        return await self._store.read(job)

    async def set_channel(self, call: Call) -> api.OrderTaken:
        """Raises HttpError (400) for what no device can be asked."""
        body = call.body(api.SetChannelBody)

        def job(session: Session) -> int:
            gantry = call.scope.gantry(session, call.parts["gantry"])
            made = channel_wishes.ask(
                session,
                gantry.id,
                body.channel,
                period=None if body.period is None else str(body.period),
                type_=None if body.type is None else str(body.type),
                by=call.who,
            )
            details = {"channel": body.channel, "period": body.period, "type": body.type}
            audit.note(
                *(session, call.who, call.operation.id, gantry.id),
                road=gantry.road,
                details=details,
            )
            return made

        try:
            return api.OrderTaken(str(await self._store.write(job)))
        except WrongWish as error:
            raise HttpError(400, "bad-request", str(error)) from None

    def _wish(self, wish: ChannelWish) -> api.ChannelWishView:
        return api.ChannelWishView(
            str(wish.id),
            wish.channel,
            wish.period,
            wish.type,
            wish.asked_by,
            self._time(wish.asked_at),
            wish.outcome.value,
            wish.code or None,
            self._time(wish.changed_at),
        )
