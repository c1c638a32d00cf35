// Camera, microphone and screen: asking for them, listing them, and saying in
// plain words why there is none.

import { el } from './ui.js';

const REASONS = {
  NotAllowedError: 'The browser did not allow camera and microphone. Allow them in the address bar and try again.',
  NotFoundError: 'No camera or microphone was found.',
  NotReadableError: 'The camera or microphone is used by another program.',
  OverconstrainedError: 'The chosen camera or microphone is not there any more.',
  AbortError: 'The camera could not be started.',
};

export function explain(error) {
  return REASONS[error?.name] ?? error?.message ?? String(error);
}

export function assertPossible() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error('Browsers give camera and microphone only to https:// addresses and to localhost. '
      + 'Open this page through one of them.');
  }
}

export const wants = { off: 'off' };

// settings: { cameraId, microphoneId, width, height, fps, music }; an id may be
// '' (any) or wants.off. Falls back to what there is: sound without a camera or a
// picture without a microphone is still worth publishing. Returns
// { stream, missing } where missing names what was asked for and not found.
export async function capture(settings) {
  assertPossible();
  const video = settings.cameraId === wants.off ? false : {
    width: { ideal: settings.width }, height: { ideal: settings.height },
    frameRate: { ideal: settings.fps },
    ...(settings.cameraId && { deviceId: { exact: settings.cameraId } }),
  };
  const processing = !settings.music;
  const audio = settings.microphoneId === wants.off ? false : {
    echoCancellation: processing, noiseSuppression: processing, autoGainControl: processing,
    ...(settings.music && { channelCount: { ideal: 2 } }),
    ...(settings.microphoneId && { deviceId: { exact: settings.microphoneId } }),
  };
  if (!video && !audio) throw new Error('Choose a camera or a microphone.');
  try {
    return { stream: await navigator.mediaDevices.getUserMedia({ video, audio }), missing: '' };
  } catch (error) {
    if (!video || !audio || error.name === 'NotAllowedError') throw error;
    for (const [constraints, missing] of [[{ video }, 'microphone'], [{ audio }, 'camera']]) {
      try {
        return { stream: await navigator.mediaDevices.getUserMedia(constraints), missing };
      } catch {
        // The other half may still work.
      }
    }
    throw error;
  }
}

export function captureScreen(fps) {
  if (!navigator.mediaDevices?.getDisplayMedia) {
    throw new Error('This browser cannot share a screen.');
  }
  return navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: fps } } });
}

// Fills a <select> with the devices of a kind, keeping the choice.
export async function listDevices(select, kind, noneText) {
  const devices = await navigator.mediaDevices?.enumerateDevices?.() ?? [];
  const chosen = select.value;
  const options = devices.filter((device) => device.kind === kind && device.deviceId)
    .map((device, index) => el('option', { value: device.deviceId },
      device.label || `${kind === 'videoinput' ? 'Camera' : 'Microphone'} ${index + 1}`));
  if (options.length === 0) options.push(el('option', { value: '' }, 'Default'));
  options.push(el('option', { value: wants.off }, noneText));
  select.replaceChildren(...options);
  if (options.some((option) => option.value === chosen)) select.value = chosen;
}
