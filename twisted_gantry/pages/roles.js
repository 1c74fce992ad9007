// Who looks, as /api/v1/whoami says, and what that person may do.

const ROLES = ["viewer", "operator", "admin"];

export let me = { name: "", role: "viewer" };

export function noteMe(person) {
  me = person;
}

// Tell whether the person who looks may do what needs `role`.
export const may = (role) => ROLES.indexOf(me.role) >= ROLES.indexOf(role);
