// The sound for critical alarms that nobody has acknowledged.

import { remember, remembered } from "./remember.js";

const AGAIN = 30_000; // milliseconds between two sounds for alarms that nobody acknowledges

let audio = null;
let sounded = new Set(); // the alarms for which it sounded
let last = -Infinity;

export const soundOn = () => remembered("sound") === "on";

// Switch the sound on or off; switched on by a person, it sounds once to be heard.
export function switchSound() {
  remember("sound", soundOn() ? "off" : "on");
  if (soundOn()) {
    wake();
    beep(1);
  }
}

// Browsers let a page sound only after a person touched it.
function wake() {
  audio ??= new AudioContext();
  if (audio.state === "suspended") audio.resume();
}

export function listenForTouch() {
  for (const kind of ["pointerdown", "keydown"]) {
    addEventListener(kind, () => soundOn() && wake(), { passive: true });
  }
}

// Whether the sound is on, but the browser keeps the page silent until it is touched.
export const silenced = () => soundOn() && audio?.state !== "running";

// Sound for critical alarms that came, and again while nobody has acknowledged them. `names` is the
// set of those that nobody has acknowledged.
export function soundAlarms(names) {
  const fresh = [...names].some((each) => !sounded.has(each));
  const due = names.size > 0 && performance.now() - last >= AGAIN;
  if (!soundOn() || !(fresh || due)) {
    if (soundOn()) sounded = names;
    return;
  }
  sounded = names;
  last = performance.now();
  beep(3);
}

function beep(times) {
  if (audio === null) return;
  for (let i = 0; i < times; i += 1) {
    const [tone, loud, from] = [audio.createOscillator(), audio.createGain(), audio.currentTime + i * 0.35];
    tone.frequency.value = 880;
    loud.gain.setValueAtTime(0.0001, from);
    loud.gain.exponentialRampToValueAtTime(0.3, from + 0.02);
    loud.gain.exponentialRampToValueAtTime(0.0001, from + 0.25);
    tone.connect(loud).connect(audio.destination);
    tone.start(from);
    tone.stop(from + 0.3);
  }
}
