// One small datagram per millisecond from here, and the time of each arrival there: how long traffic outlives a logout.
//   ticker.ts send ADDRESS PORT SECONDS        ticker.ts receive ADDRESS PORT SECONDS
// The receiver prints the arrival times, milliseconds of the unix clock with fractions, one JSON array.

import { createSocket } from 'node:dgram';

const [mode, address = '', port = '', seconds = '3'] = process.argv.slice(2);
const socket = createSocket('udp4');
const end = performance.now() + Number(seconds) * 1000;

if (mode === 'send') {
  const tick = (): void => {
    if (performance.now() >= end) socket.close();
    else socket.send('tick', Number(port), address, () => setTimeout(tick, 1));
  };
  tick();
} else {
  const arrivals: number[] = [];
  socket.on('message', () => arrivals.push(performance.timeOrigin + performance.now()));
  socket.bind(Number(port), address, () => process.stdout.write('ready\n'));
  setTimeout(
    () => {
      socket.close();
      process.stdout.write(`${JSON.stringify(arrivals)}\n`);
    },
    Number(seconds) * 1000,
  );
}
