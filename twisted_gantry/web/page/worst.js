// How bad it is: the one place where colours come from.

import { known } from "./known.js";

const RANK = ["online", "connecting", "warning", "offline", "critical"];
export const worse = (a, b) => (RANK.indexOf(b) > RANK.indexOf(a) ? b : a);

// Return the worst state of alarms and of a state of connection.
export function worst(alarms, state = "online") {
  return alarms.reduce((sofar, each) =>
    worse(sofar, each.severity === "critical" ? "critical" : "warning"), state);
}

export const alarmsOf = (source) => known.active.filter((each) => each.source === source);

// Return how bad a device or an uplink is: never well while one of its alarms is active.
export const howBad = ({ name, state }) => worst(alarmsOf(name), state);
