/**
 * Whether what is said is kept at rest, as the server says it. Knows nothing of what is kept.
 */
const badge = document.getElementById('saving');
const news = document.getElementById('saving-news');

/** state: behind or saved. */
export function showSaving(state) {
  const isBehind = state === 'behind';
  if (badge.hidden === !isBehind) return;
  badge.hidden = !isBehind;
  news.textContent = isBehind ? 'What is said is not saved yet. It will be.' : 'Everything is saved.';
}

/** Another session: nothing is known of it. */
export function forgetSaving() {
  badge.hidden = true;
  news.textContent = '';
}
