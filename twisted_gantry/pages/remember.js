// Choices of the reader. Without storage a choice lasts as long as the page.

const here = new Map();

export function remembered(name) {
  try {
    return localStorage.getItem(name) ?? here.get(name) ?? null;
  } catch {
    return here.get(name) ?? null;
  }
}

export function remember(name, value) {
  here.set(name, value);
  try {
    localStorage.setItem(name, value);
  } catch {
    // As above.
  }
}
