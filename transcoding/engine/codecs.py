"""The codecs that phones and cameras use, and the only decoders that a video may reach.

A decoder that no phone needs is only a way in for a hostile file, so everything else is refused.
"""

VIDEO = {
    "apv": ("apv",),
    "av1": ("libdav1d", "av1"),
    "cinepak": ("cinepak",),
    "dvvideo": ("dvvideo",),
    "flv1": ("flv",),
    "h263": ("h263",),
    "h264": ("h264",),
    "hevc": ("hevc",),
    "mjpeg": ("mjpeg",),
    "mpeg1video": ("mpeg1video",),
    "mpeg2video": ("mpeg2video",),
    "mpeg4": ("mpeg4",),
    "msmpeg4v2": ("msmpeg4v2",),
    "msmpeg4v3": ("msmpeg4",),
    "prores": ("prores",),
    "rawvideo": ("rawvideo",),
    "svq1": ("svq1",),
    "svq3": ("svq3",),
    "theora": ("theora",),
    "vc1": ("vc1",),
    "vp8": ("vp8",),
    "vp9": ("vp9",),
    "wmv3": ("wmv3",),
}
"""Codec name to the names of its decoders."""

AUDIO = {
    "aac": ("aac",),
    "aac_latm": ("aac_latm",),
    "ac3": ("ac3",),
    "adpcm_ima_qt": ("adpcm_ima_qt",),
    "adpcm_ima_wav": ("adpcm_ima_wav",),
    "adpcm_ms": ("adpcm_ms",),
    "alac": ("alac",),
    "amr_nb": ("amrnb", "libopencore_amrnb"),
    "amr_wb": ("amrwb", "libopencore_amrwb"),
    "dts": ("dca",),
    "eac3": ("eac3",),
    "flac": ("flac",),
    "mp1": ("mp1float", "mp1"),
    "mp2": ("mp2float", "mp2"),
    "mp3": ("mp3float", "mp3"),
    "opus": ("opus",),
    "pcm_alaw": ("pcm_alaw",),
    "pcm_bluray": ("pcm_bluray",),
    "pcm_dvd": ("pcm_dvd",),
    "pcm_f32be": ("pcm_f32be",),
    "pcm_f32le": ("pcm_f32le",),
    "pcm_f64be": ("pcm_f64be",),
    "pcm_f64le": ("pcm_f64le",),
    "pcm_mulaw": ("pcm_mulaw",),
    "pcm_s16be": ("pcm_s16be",),
    "pcm_s16le": ("pcm_s16le",),
    "pcm_s24be": ("pcm_s24be",),
    "pcm_s24le": ("pcm_s24le",),
    "pcm_s32be": ("pcm_s32be",),
    "pcm_s32le": ("pcm_s32le",),
    "pcm_s8": ("pcm_s8",),
    "pcm_u8": ("pcm_u8",),
    "qdm2": ("qdm2",),
    "vorbis": ("vorbis",),
    "wmav2": ("wmav2",),
}

DECODERS = ",".join(name for names in (*VIDEO.values(), *AUDIO.values()) for name in names)
COPIED_FROM = ("mov", "matroska")
"""Demuxers whose streams may be copied: their time stamps and extradata can be relied on."""
WITHOUT_LENGTH = ("mpegts", "mpeg")
"""Demuxers of streams that begin and end anywhere."""
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg"
PROTOCOLS = "file,pipe"
MOST_STREAMS = 64
LARGEST_ALLOCATION = 1024**3
"""Of one block of memory, in bytes."""
