// The little SDP the pages must read and write themselves: ICE restart fragments
// (RFC 8840, used by RFC 9725 §4.3.3), and two places where browsers need help.

const lines = (text) => text.split(/\r?\n/).filter((line) => line !== '');
const join = (list) => list.join('\r\n') + '\r\n';

// The application/trickle-ice-sdpfrag that announces the offer's new credentials.
// Media sections after the BUNDLE-tagged first one share its transport.
export function restartFragment(offerSdp) {
  const out = [];
  let section = 0;
  for (const line of lines(offerSdp)) {
    if (line.startsWith('m=') && ++section > 1) break;
    const wanted = section === 0
      ? line.startsWith('a=ice-options:') || line.startsWith('a=group:')
      : /^(m=|a=mid:|a=ice-ufrag:|a=ice-pwd:|a=ice-options:|a=candidate:)/.test(line);
    if (wanted) out.push(line);
  }
  return join(out);
}

// The earlier answer with the credentials and candidates of the restart's reply.
// Credentials may stand at session or at media level in either text.
export function applyRestartReply(answerSdp, fragment) {
  const reply = lines(fragment);
  const ufrag = reply.find((line) => line.startsWith('a=ice-ufrag:'));
  const pwd = reply.find((line) => line.startsWith('a=ice-pwd:'));
  if (!ufrag || !pwd) throw new Error('The restart reply holds no ICE credentials');
  const candidates = reply.filter((line) => line.startsWith('a=candidate:'));

  const out = [];
  let section = 0;
  let placed = candidates.length === 0;
  const place = () => {
    if (section !== 1 || placed) return;
    out.push(...candidates);
    placed = true;
  };
  for (const line of lines(answerSdp)) {
    if (line.startsWith('m=')) {
      place();
      section += 1;
    }
    if (line.startsWith('a=ice-ufrag:')) out.push(ufrag);
    else if (line.startsWith('a=ice-pwd:')) out.push(pwd);
    else if (line.startsWith('a=candidate:') && candidates.length > 0) continue;
    else if (line.startsWith('a=end-of-candidates')) continue;
    else out.push(line);
  }
  place();
  return join(out);
}

// Firefox, told to prefer a codec, leaves rtcp-fb lines of the others behind;
// strict parsers refuse attributes of payload types that the m-line does not name.
export function withoutOrphans(offerSdp) {
  let known = null;
  return join(lines(offerSdp).filter((line) => {
    if (line.startsWith('m=')) known = new Set(line.split(' ').slice(3));
    const payloadType = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /.exec(line)?.[1];
    return payloadType === undefined || known === null || known.has(payloadType);
  }));
}

// Browsers decode Opus to one channel unless their own offer asks for two.
export function offerStereo(offerSdp) {
  const opus = /a=rtpmap:(\d+) opus\/48000\/2/i.exec(offerSdp)?.[1];
  if (!opus) return offerSdp;
  const fmtp = new RegExp(`(a=fmtp:${opus} )([^\\r\\n]*)`);
  return offerSdp.replace(fmtp, (all, head, rest) =>
    (rest.includes('stereo=') ? all : `${head}${rest};stereo=1`));
}
