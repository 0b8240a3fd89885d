/**
 * Words into the clipboard, bytes into a file. Knows nothing of what they are.
 */
import { showToast } from './notices.js';

const FORGET_AFTER_MS = 10000;

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    showToast('Copied.', { code: 'copied' });
  } catch {
    if (copyBySelection(text)) showToast('Copied.', { code: 'copied' });
    else showToast('The browser does not let this page copy.', { code: 'copy_refused', isError: true });
  }
}

/** A page without https has no clipboard of its own. */
function copyBySelection(text) {
  const box = document.createElement('textarea');
  box.className = 'hidden-text';
  box.value = text;
  document.body.append(box);
  box.select();
  const isCopied = document.execCommand('copy');
  box.remove();
  return isCopied;
}

export function saveFile(name, blob) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), FORGET_AFTER_MS);
}
