// Tells views that something is to be drawn anew.

const listeners = new Set();

// Call `listener()` whenever something is to be drawn anew; returns what ends that.
export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function tell() {
  for (const listener of [...listeners]) listener();
}
