/** Draws a panel for each wire and lets them talk. */
import { WIRES } from './wires.js';

const MESSAGES_SHOWN = 40;
const READINGS_SHOWN = 80;
const SEND_MS = 1_000;

const query = new URLSearchParams(location.search);
const login = {
  username: query.get('user') ?? 'guest',
  password: query.get('password') ?? 'guest',
};
const live = document.getElementById('live');
const template = document.getElementById('panel');

/** Draws the last readings, one line per origin. */
function draw(canvas, readings) {
  const pen = canvas.getContext('2d');
  const { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  for (const { name } of WIRES) {
    const style = getComputedStyle(document.documentElement);
    pen.strokeStyle = style.getPropertyValue(`--${name}`);
    pen.lineWidth = 1.5;
    pen.beginPath();
    readings.get(name).forEach((value, index) => {
      const x = (index / (READINGS_SHOWN - 1)) * width;
      const y = height - (value / 100) * height;
      if (index === 0) pen.moveTo(x, y);
      else pen.lineTo(x, y);
    });
    pen.stroke();
  }
}

function makePanel(wire) {
  const panel = template.content.cloneNode(true).querySelector('.panel');
  const find = (selector) => panel.querySelector(selector);
  panel.dataset.wire = wire.name;
  find('h2').textContent = wire.title;
  find('.wire').textContent = wire.path;
  const counts = new Map();
  const readings = new Map();
  for (const { name } of WIRES) {
    const cell = document.createElement('div');
    cell.dataset.wire = name;
    cell.innerHTML = `<dt>from ${name}</dt><dd data-from="${name}">0</dd>`;
    find('.counts').append(cell);
    counts.set(name, { shown: cell.querySelector('dd'), value: 0 });
    readings.set(name, []);
  }
  const onMessage = (origin, text) => {
    const count = counts.get(origin);
    if (count === undefined) return;
    count.value += 1;
    count.shown.textContent = String(count.value);
    const reading = /^reading (\d+)$/.exec(text);
    if (reading !== null) {
      const values = readings.get(origin);
      values.push(Number(reading[1]));
      if (values.length > READINGS_SHOWN) values.shift();
      draw(find('.graph'), readings);
    }
    const item = document.createElement('li');
    item.dataset.wire = origin;
    const from = document.createElement('b');
    from.textContent = origin;
    const body = document.createElement('span');
    body.textContent = text;
    item.append(from, body);
    const list = find('.messages');
    list.prepend(item);
    while (list.children.length > MESSAGES_SHOWN) list.lastChild.remove();
  };
  const onState = (state) => {
    const shown = find('.state');
    shown.textContent = state;
    shown.dataset.state = state;
  };
  document.getElementById('panels').append(panel);
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const url = `${scheme}://${location.host}${wire.path}`;
  const send = wire.open(url, login, { state: onState, message: onMessage });
  find('form').addEventListener('submit', (event) => {
    event.preventDefault();
    const input = event.target.elements.text;
    if (input.value !== '') send(input.value);
    input.value = '';
  });
  return send;
}

const senders = WIRES.map(makePanel);
let level = 50;

setInterval(() => {
  if (!live.checked) return;
  for (const send of senders) {
    level = Math.max(0, Math.min(100, level + Math.round(Math.random() * 30 - 15)));
    send(`reading ${level}`);
  }
}, SEND_MS);
