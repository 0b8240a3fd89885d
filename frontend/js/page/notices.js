/**
 * What the page tells a person outside the conversation: toasts, banner, notices, access dialog.
 * Knows nothing of the wire or of sound.
 */
const TOAST_MS = 8000;
const MOST_TOASTS = 3;

const toasts = document.getElementById('toasts');
const controls = document.getElementById('controls');
const banner = document.getElementById('banner');
const notice = document.getElementById('notice');
const noticeText = document.getElementById('notice-text');
const voiceNotice = document.getElementById('voice-notice');
const noticeMore = document.getElementById('notice-more');
const noticeClose = document.getElementById('notice-close');
const accessDialog = document.getElementById('access-dialog');
const accessForm = document.getElementById('access-form');
const accessWhy = document.getElementById('access-why');
const accessKey = document.getElementById('access-key');

const knownNotices = new Set();

/** action: {word, run}, a button in the toast. Returns what takes it away. */
export function showToast(text, { code = '', isError = false, action = null } = {}) {
  [...toasts.children].find((shown) => shown.firstElementChild.textContent === text)?.remove();
  const toast = document.createElement('div');
  toast.className = isError ? 'toast error' : 'toast';
  toast.dataset.code = code;
  toast.setAttribute('role', isError ? 'alert' : 'status');
  const close = () => toast.remove();
  toast.append(textElement('p', text));
  if (action) toast.append(button(action.word, () => { close(); action.run(); }));
  toast.append(button('Close', close));
  while (toasts.childElementCount >= MOST_TOASTS) toasts.firstElementChild.remove();
  toasts.append(toast);
  placeToasts();
  if (!action) setTimeout(close, TOAST_MS);
  return close;
}

/** An open dialog covers the page, and nothing behind it can be pressed or is read aloud. */
function placeToasts() {
  const dialog = [...document.querySelectorAll('dialog[open]')].at(-1);
  const isThere = dialog ? toasts.parentElement === dialog : toasts.nextElementSibling === controls;
  if (isThere) return;
  if (dialog) dialog.append(toasts);
  else controls.before(toasts);
}

function textElement(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function button(word, onClick) {
  const element = textElement('button', word);
  element.type = 'button';
  element.addEventListener('click', onClick);
  return element;
}

/** An empty text takes the banner away. */
export function showBanner(text) {
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
}

/** A standing remark, told once: closed or not, the same words do not come again. */
export function showNotice(text) {
  if (knownNotices.has(text)) return;
  knownNotices.add(text);
  noticeText.append(textElement('p', text));
  notice.hidden = false;
}

/** Stands as long as there is something to say: an empty text takes it away. */
export function showVoiceNotice(text) {
  voiceNotice.textContent = text;
  voiceNotice.hidden = !text;
}

function onNoticeClose() {
  noticeText.replaceChildren();
  notice.hidden = true;
}

/** On a narrow screen a long remark shows its beginning. */
function onNoticeMore() {
  const isOpen = notice.classList.toggle('open');
  noticeMore.textContent = isOpen ? 'Less' : 'More';
  noticeMore.setAttribute('aria-expanded', String(isOpen));
}

export function askAccessKey(wasRefused) {
  showBanner('');
  if (wasRefused) accessWhy.textContent = 'That key was not accepted. Try another one.';
  accessKey.value = '';
  if (!accessDialog.open) accessDialog.showModal();
}

function onAccessSubmit() {
  document.dispatchEvent(new CustomEvent('access_given', { detail: { key: accessKey.value } }));
  accessKey.value = '';
}

/** Closed without a key: the page waits, and says how to go on. */
function onAccessCancel() {
  showToast('This server asks for an access key.', { code: 'access_needed', action: { word: 'Enter key', run: () => askAccessKey(false) } });
}

noticeMore.addEventListener('click', onNoticeMore);
noticeClose.addEventListener('click', onNoticeClose);
document.addEventListener('close', placeToasts, true);
accessForm.addEventListener('submit', onAccessSubmit);
accessDialog.addEventListener('cancel', onAccessCancel);
