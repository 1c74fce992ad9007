// Fields of questions about alarms: a note, and how long nobody is called.

import { duration } from "./format.js";
import { text } from "./language.js";

const LONGEST_NOTE = 500;
const LENGTHS = [1800, 3600, 4 * 3600, 12 * 3600, 86_400, 3 * 86_400, 7 * 86_400]; // seconds

export const noteField = () => ({ name: "note", label: text.noteLabel, maxLength: LONGEST_NOTE });

export const lengthField = () => ({
  name: "seconds",
  label: text.howLong,
  type: "select",
  value: "3600",
  options: LENGTHS.map((each) => [String(each), wholeDuration(each)]),
});

// A length that is a whole number of one unit.
function wholeDuration(seconds) {
  if (seconds % 86_400 === 0) return text.duration(seconds / 86_400, "d");
  return seconds % 3600 === 0 ? text.duration(seconds / 3600, "h") : duration(seconds);
}
