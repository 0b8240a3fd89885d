import torch, time, numpy as np, copy
from bench.higgs_gpu import build, synchronize
from workers.tts.higgs.codec import Codec
dev=torch.device("cuda")
import json
from pathlib import Path
from workers.tts.higgs.checkpoint import provide_resample
provide_resample()
from transformers import HiggsAudioV2TokenizerConfig, HiggsAudioV2TokenizerModel
with dev: raw=HiggsAudioV2TokenizerModel(HiggsAudioV2TokenizerConfig(**json.loads(Path("bench/higgs_codec.json").read_text()))).eval()
with torch.no_grad():
    for q in raw.quantizer.quantizers: q.codebook.embed.normal_(0,1); q.project_out.weight.normal_(0,.3)
    raw.fc2.weight.normal_(0,.3)
    for m in raw.acoustic_decoder.modules():
        if isinstance(m,(torch.nn.Conv1d,torch.nn.ConvTranspose1d)): torch.nn.init.xavier_normal_(m.weight)
    x=torch.randint(0,1024,(1,8,50),device=dev); s=raw.decode(x).audio_values.std(); raw.acoustic_decoder.conv2.weight.mul_(0.1/s); raw.acoustic_decoder.conv2.bias.zero_()
codes=torch.randint(0,1024,(16,8,71),device=dev)
ref64=None
def t(f,n=10):
    for _ in range(3): f()
    torch.cuda.synchronize(); a=time.time()
    for _ in range(n): f()
    torch.cuda.synchronize(); return (time.time()-a)/n*1e3
with torch.inference_mode():
    torch.backends.cudnn.allow_tf32=False
    exact=raw.decode(codes).audio_values; print("fp32 ms",t(lambda: raw.decode(codes)))
    torch.backends.cudnn.allow_tf32=True
    tf=raw.decode(codes).audio_values; print("tf32 ms",t(lambda: raw.decode(codes)),"err",(tf-exact).std().item()/exact.std().item())
    c=Codec(raw,8,use_graphs=False)
    fu=raw.decode(codes).audio_values; print("fused ms",t(lambda: raw.decode(codes)),"err",(fu-exact).std().item()/exact.std().item())
    torch.backends.cudnn.benchmark=True
    print("bench ms",t(lambda: raw.decode(codes)))
    for dt in (torch.float16, torch.bfloat16):
        h=copy.deepcopy(raw); h.acoustic_decoder.to(dt)
        for m in h.acoustic_decoder.modules():
            if hasattr(m,"_alpha"): m._alpha=m._alpha.float()
        def dec(codes=codes):
            z=h.quantizer.decode(codes.transpose(0,1)); z=h.fc2(z.transpose(1,2)).transpose(1,2); return h.acoustic_decoder(z.to(dt)).float()
        y=dec(); print(dt,"ms",t(dec),"err",(y-exact).std().item()/exact.std().item())
        one=codes[:1]; print(dt,"one ms",t(lambda: dec(one)))
        from torch.profiler import profile, ProfilerActivity
    with profile(activities=[ProfilerActivity.CUDA]) as p:
        torch.backends.cudnn.benchmark=False
        for _ in range(3): raw.decode(codes)
    print(p.key_averages().table(sort_by="cuda_time_total",row_limit=8,max_name_column_width=50))
