/**
 * Keeps the screen on while somebody speaks or is listened to: a phone that sleeps falls silent. Knows nothing of who.
 */
let isWanted = false;
let lock = null;

export function keepAwake(isNeeded) {
  if (isNeeded === isWanted) return;
  isWanted = isNeeded;
  if (isWanted) ask();
  else letSleep();
}

/** Refused (a low battery, a page behind another) it is not asked for again until the page is seen again. */
async function ask() {
  try {
    const given = await navigator.wakeLock?.request('screen');
    lock = given ?? null;
    if (!isWanted) letSleep();
  } catch {
    lock = null;
  }
}

function letSleep() {
  lock?.release().catch(() => {});
  lock = null;
}

function onSeen() {
  if (isWanted && document.visibilityState === 'visible') ask();
}

document.addEventListener('visibilitychange', onSeen);
