// Which codec and which layers the publisher's video sender uses.

const PREFERRED = ['H264', 'VP8', 'VP9', 'AV1', 'H265'];
// Repair and redundancy go with any codec.
const HELPERS = new Set(['rtx', 'red', 'ulpfec', 'flexfec-03']);

const nameOf = (codec) => codec.mimeType.split('/')[1].toUpperCase();
const capabilities = () => RTCRtpSender.getCapabilities?.('video')?.codecs ?? [];

// Names of the codecs this browser can send, best known first.
export function sendableCodecs() {
  const names = new Set(capabilities().map(nameOf));
  return PREFERRED.filter((name) => names.has(name));
}

// '' leaves the browser's own order. Otherwise only the named one is offered, so
// that the server cannot choose differently.
export function preferCodec(transceiver, name) {
  if (!name || !transceiver.setCodecPreferences) return;
  const codecs = capabilities().filter((codec) =>
    nameOf(codec) === name || HELPERS.has(nameOf(codec).toLowerCase()));
  if (codecs.some((codec) => nameOf(codec) === name)) transceiver.setCodecPreferences(codecs);
}

// A layer needs about a third of the rate of one twice its size.
const LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, share: 0.1 },
  { rid: 'h', scaleResolutionDownBy: 2, share: 0.3 },
  { rid: 'f', scaleResolutionDownBy: 1, share: 1 },
];

// Without a limit, browsers cap simulcast by tables that sum up to more than
// many uplinks carry; these are usual for talking heads and games alike.
const usualBitrate = (height) => (height >= 1080 ? 4e6 : height >= 720 ? 2.5e6 : height >= 540 ? 1.5e6 : 8e5);

// settings: { simulcast, bitrateBps (0 = automatic), codec, height }
export function sendEncodings(settings) {
  if (!settings.simulcast) {
    return [settings.bitrateBps ? { maxBitrate: settings.bitrateBps } : {}];
  }
  const top = settings.bitrateBps || usualBitrate(settings.height);
  return LAYERS.map(({ rid, scaleResolutionDownBy, share }) => ({
    rid, scaleResolutionDownBy, maxBitrate: Math.round(top * share),
    // Else VP9 and AV1 would send one stream with spatial layers inside.
    ...(['VP9', 'AV1'].includes(settings.codec) && { scalabilityMode: 'L1T1' }),
  }));
}

// Applies a new limit to a running sender.
export async function changeBitrate(sender, settings) {
  const parameters = sender.getParameters();
  const wanted = sendEncodings({ ...settings, simulcast: parameters.encodings.length > 1 });
  parameters.encodings.forEach((encoding, index) => {
    const limit = (wanted.find((other) => other.rid === encoding.rid) ?? wanted[index])?.maxBitrate;
    if (limit) encoding.maxBitrate = limit;
    else delete encoding.maxBitrate;
  });
  await sender.setParameters(parameters);
}
