/**
 * The test observer: loaded only under ?tap=1, between the player and the loudspeaker. Passes every sample on
 * unchanged and posts a copy, so that a test can name each sample that was rendered. Knows nothing else.
 */
function TapProcessor() {
  return Reflect.construct(AudioWorkletProcessor, [], new.target);
}

Object.setPrototypeOf(TapProcessor, AudioWorkletProcessor);
Object.setPrototypeOf(TapProcessor.prototype, AudioWorkletProcessor.prototype);
TapProcessor.prototype.process = function process(inputs, outputs) {
  const input = inputs[0][0];
  if (!input) return true;
  outputs[0][0].set(input);
  const copy = input.slice();
  this.port.postMessage(copy, [copy.buffer]);
  return true;
};

registerProcessor('tap', TapProcessor);
