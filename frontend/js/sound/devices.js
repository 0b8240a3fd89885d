/**
 * The microphones and loudspeakers there are, by name. News travels up as a DOM event, devices_changed.
 * Knows nothing of what is done with them.
 */
export async function listDevices() {
  if (!navigator.mediaDevices?.enumerateDevices) return { microphones: [], speakers: [] };
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  const named = (kind) => devices.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== 'default')
    .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || `Device ${index + 1}` }));
  return { microphones: named('audioinput'), speakers: named('audiooutput') };
}

/** Where sound goes can be chosen in some browsers only. */
export function canChooseSpeaker() {
  return typeof AudioContext !== 'undefined' && 'setSinkId' in AudioContext.prototype;
}

navigator.mediaDevices?.addEventListener?.('devicechange', () => document.dispatchEvent(new CustomEvent('devices_changed')));
