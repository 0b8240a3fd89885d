/**
 * The box a person types in. News travels up as a DOM event, text_given {text}, within the key press or click itself,
 * so that sound may begin in it. Knows nothing of what becomes of the words.
 */
const form = document.getElementById('chat');
const textBox = document.getElementById('text');
const sendButton = document.getElementById('send');

function onSubmit(event) {
  event.preventDefault();
  const text = textBox.value.trim();
  if (text) document.dispatchEvent(new CustomEvent('text_given', { detail: { text } }));
}

/** Enter that ends the choice of a word (input methods) is no sending; keyCode 229 is how Safari says so. */
function onKey(event) {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  form.requestSubmit();
}

export function emptyTextBox() {
  textBox.value = '';
  fit();
}

/** A message that was refused is not lost. */
export function giveTextBack(text) {
  if (textBox.value) return;
  textBox.value = text;
  fit();
}

/** Where CSS cannot grow the box by itself. */
function fit() {
  if (CSS.supports('field-sizing', 'content')) return;
  textBox.style.height = 'auto';
  textBox.style.height = `${textBox.scrollHeight}px`;
}

/** On a phone the keyboard would hide the reply. */
function onSendTouch(event) {
  if (event.pointerType === 'touch') textBox.blur();
}

form.addEventListener('submit', onSubmit);
textBox.addEventListener('keydown', onKey);
textBox.addEventListener('input', fit);
sendButton.addEventListener('pointerup', onSendTouch);
