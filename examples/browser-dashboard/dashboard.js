/** Draws a panel for each wire and lets them talk. */
import { WIRES } from './wires.js';

const MESSAGES_SHOWN = 40;
const READINGS_SHOWN = 80;
const SEND_MS = 1_000;
/** How long all wires may be down before the page says so. */
const TROUBLE_MS = 2_000;

const query = new URLSearchParams(location.search);
const login = {
  username: query.get('user') ?? 'guest',
  password: query.get('password') ?? 'guest',
};
const live = document.getElementById('live');
const trouble = document.getElementById('trouble');
const template = document.getElementById('panel');

/** Draws the last readings, one line per origin, as sharp as the screen is. */
function draw(canvas, readings) {
  const pen = canvas.getContext('2d');
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  // Setting the size clears it as well.
  canvas.width = width;
  canvas.height = height;
  const style = getComputedStyle(document.documentElement);
  for (const { name } of WIRES) {
    pen.strokeStyle = style.getPropertyValue(`--${name}`);
    pen.lineWidth = 1.5 * devicePixelRatio;
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

/** A cell for each origin with the number of its messages. */
function makeCounts(list) {
  const counts = new Map();
  for (const { name } of WIRES) {
    const cell = document.createElement('div');
    cell.dataset.wire = name;
    cell.innerHTML = `<dt>from ${name}</dt><dd data-from="${name}">0</dd>`;
    list.append(cell);
    counts.set(name, { shown: cell.querySelector('dd'), value: 0 });
  }
  return counts;
}

function makeItem(origin, text) {
  const item = document.createElement('li');
  item.dataset.wire = origin;
  const from = document.createElement('b');
  from.textContent = origin;
  const body = document.createElement('span');
  body.textContent = text;
  item.append(from, body);
  return item;
}

function makePanel(wire) {
  const panel = template.content.cloneNode(true).querySelector('.panel');
  const find = (selector) => panel.querySelector(selector);
  panel.dataset.wire = wire.name;
  panel.setAttribute('aria-label', wire.title);
  find('h2').textContent = wire.title;
  find('.wire').textContent = wire.path;
  find('.graph').setAttribute('aria-label', 'The last readings, a line for each wire');
  find('input').setAttribute('aria-label', `Message to send over ${wire.title}`);
  find('.messages').setAttribute('aria-label', `Messages received over ${wire.title}`);
  const counts = makeCounts(find('.counts'));
  const readings = new Map(WIRES.map(({ name }) => [name, []]));
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
      // Three a second in the list would push what was said out of sight.
      return;
    }
    const list = find('.messages');
    list.prepend(makeItem(origin, text));
    while (list.children.length > MESSAGES_SHOWN) list.lastChild.remove();
  };
  /** `reason`: why it is not connected, when that is known. */
  const onState = (state, reason = '') => {
    const shown = find('.state');
    // A live region is read aloud whenever it is written.
    if (shown.textContent !== state) shown.textContent = state;
    shown.dataset.state = state;
    find('.reason').textContent = reason;
    find('.reason').hidden = reason === '';
    find('button').disabled = state !== 'connected';
    showTrouble();
  };
  document.getElementById('panels').append(panel);
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const url = `${scheme}://${location.host}${wire.path}`;
  const send = wire.open(url, login, { state: onState, message: onMessage });
  find('form').addEventListener('submit', (event) => {
    event.preventDefault();
    const input = event.target.elements.text;
    send(input.value);
    input.value = '';
  });
  return send;
}

let troubleTimer;

/** Says so when no wire has been connected for a while; panels tell of their own. */
function showTrouble() {
  const isUp = document.querySelector('.state[data-state=connected]') !== null;
  if (isUp) {
    clearTimeout(troubleTimer);
    troubleTimer = undefined;
    trouble.hidden = true;
    return;
  }
  troubleTimer ??= setTimeout(() => {
    trouble.textContent = `No wire to ${location.host} is connected. Trying again every second.`;
    trouble.hidden = false;
  }, TROUBLE_MS);
}

const senders = WIRES.map(makePanel);
showTrouble();
let level = 50;

setInterval(() => {
  if (!live.checked) return;
  for (const send of senders) {
    level = Math.max(0, Math.min(100, level + Math.round(Math.random() * 30 - 15)));
    send(`reading ${level}`);
  }
}, SEND_MS);
