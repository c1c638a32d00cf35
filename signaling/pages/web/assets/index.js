// The front page: live streams, and commands for other programs.

import { ApiError, STREAM_NAME, getJson, mediaText } from './api.js';
import { byId, copyable, el, format, showNotice } from './ui.js';

const nameInput = byId('name');

byId('open').addEventListener('submit', (event) => {
  event.preventDefault();
  const page = event.submitter?.value === 'watch' ? 'watch' : 'publish';
  if (STREAM_NAME.test(nameInput.value)) location.assign(`/${page}/${nameInput.value}`);
});

function showCommands() {
  const name = STREAM_NAME.test(nameInput.value) ? nameInput.value : 'STREAM';
  const whip = `${location.origin}/whip/${name}`;
  const whep = `${location.origin}/whep/${name}`;
  byId('how-obs').replaceChildren(copyable(whip));
  byId('how-ffmpeg').replaceChildren(copyable(
    'ffmpeg -re -i INPUT -c:v libx264 -profile:v baseline -bf 0 -g 60 -b:v 2500k'
    + ` -c:a libopus -ar 48000 -ac 2 -f whip "${whip}"`));
  byId('how-gst').replaceChildren(copyable(
    `gst-launch-1.0 whipclientsink name=w signaller::whip-endpoint="${whip}"`
    + ' videotestsrc is-live=true ! video/x-raw,width=1280,height=720 ! w.'
    + ' audiotestsrc is-live=true ! w.'));
  byId('how-whep').replaceChildren(copyable(whep));
  byId('how-watch').replaceChildren(copyable(`${location.origin}/watch/${name}`));
}

async function refresh() {
  if (document.hidden) return;
  try {
    const { streams = [] } = await getJson('/api/streams');
    const live = streams.filter((stream) => stream.live && STREAM_NAME.test(stream.name));
    byId('live').replaceChildren(...live.map((stream) => el('li', {},
      el('a', { href: `/watch/${stream.name}` },
        el('b', {}, stream.name, el('span', { class: 'badge good' }, 'live')),
        el('span', { class: 'muted small' },
          `${format.count(stream.viewers)} watching`, ` · ${mediaText(stream)}`)))));
    byId('none').hidden = live.length > 0;
    showNotice(byId('notice'), '');
  } catch (error) {
    const message = error instanceof ApiError && (error.status === 401 || error.status === 403)
      ? 'The list of streams needs an access token; set it on the status page.' : error.message;
    showNotice(byId('notice'), message);
  }
}

nameInput.addEventListener('input', showCommands);
showCommands();
refresh();
setInterval(refresh, 3000);
