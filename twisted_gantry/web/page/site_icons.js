// The icons of the picture of the site: paths of lines on a field of 16 by 16.

const UPS = "M1.5 5h11v6h-11zM12.5 7h2v2h-2M7.6 5.8 5.6 8.2h2.8l-2 2.2";
const COMPUTER = "M1.5 2.5h13V11h-13zM8 11v3M5 14h6";
const METER = "M2 12.5a6 6 0 1 1 12 0zM8 12.5l2.6-4";

const PATHS = {
  mains: "M9 1.5 3.5 9h4L6.5 14.5 12.5 7h-4z",
  loads: "M2 14.5v-11h12v11M5 3.5v3M11 3.5v3M3.8 6.5h2.4M9.8 6.5h2.4",
  gantry: COMPUTER,
  uplink: "M4.5 13h7a3 3 0 0 0 .4-6A4 4 0 0 0 4.2 7.6 2.75 2.75 0 0 0 4.5 13zM8 11.3V7.6M6.3 9.2 8 7.5l1.7 1.7",
  "ups-card": UPS,
  "ups-card-http": UPS,
  cfos: "M3 14.5v-13h7v13M1.8 14.5h9.4M5 4h3v3H5zM10 9h1.6v3a1.3 1.3 0 0 0 2.6 0V6l-1.7-1.7",
  bms: "M1.5 4h13v9.5h-13zM4 4V2.2h2.4V4M9.6 4V2.2H12V4M4 8.7h2.6M9.4 8.7H12M10.7 7.4V10",
  cabinet: "M3 1.5h10v13H3zM8 1.5v13M6.3 7v2M9.7 7v2",
  computer: COMPUTER,
  relay: "M1.5 11H4M12 11h2.5M4.6 10.2 11 5M4 11a.8.8 0 1 0 1.6 0A.8.8 0 1 0 4 11M10.4 11a.8.8 0 1 0 1.6 0 .8.8 0 1 0-1.6 0",
  modbus: METER,
  "http-json": METER,
};

// Return the path of a box; kinds of other packages have that of a meter.
export const iconOf = ({ type, kind }) => PATHS[type === "device" ? kind : type] ?? METER;

// What is left of a battery: an outline and a bar of `width` at 100 %.
export const BATTERY = { width: 16, outline: "M.5.5h19v10H.5zM20 3.5h2v4h-2z", low: 20 };
