/**
 * The microphone in frames: 480 samples (20 ms) of s16 at 24 kHz with their energy, posted as they are full.
 * Knows nothing of the wire, of who may listen or of the page.
 *
 * Out: {samples: Int16Array of 480, rms: 0 to 1}
 */
import { SAMPLE_RATE, floatToInt16 } from '../sound/pcm.js';
import { newResampler, resample } from '../sound/resample.js';

const FRAME_SAMPLES = 480;

/** What registerProcessor asks for is only a constructor; each microphone that is opened has its own. */
function CaptureProcessor() {
  const processor = Reflect.construct(AudioWorkletProcessor, [], new.target);
  processor.frame = newFrame();
  processor.resampler = sampleRate === SAMPLE_RATE ? null : newResampler(sampleRate, SAMPLE_RATE);
  return processor;
}

function newFrame() {
  return { samples: new Int16Array(FRAME_SAMPLES), filled: 0, power: 0 };
}

Object.setPrototypeOf(CaptureProcessor, AudioWorkletProcessor);
Object.setPrototypeOf(CaptureProcessor.prototype, AudioWorkletProcessor.prototype);
CaptureProcessor.prototype.process = function process(inputs) {
  const block = inputs[0][0];
  if (!block) return true;
  const values = this.resampler ? resample(this.resampler, block) : block;
  for (const value of values) {
    const { frame } = this;
    frame.samples[frame.filled] = floatToInt16(value);
    frame.power += value * value;
    frame.filled += 1;
    if (frame.filled < FRAME_SAMPLES) continue;
    this.port.postMessage({ samples: frame.samples, rms: Math.sqrt(frame.power / FRAME_SAMPLES) }, [frame.samples.buffer]);
    this.frame = newFrame();
  }
  return true;
};

registerProcessor('capture', CaptureProcessor);
