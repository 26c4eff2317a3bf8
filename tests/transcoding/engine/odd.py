"""Clips of every kind that phones, cameras, messengers and editors write, as arguments for ffmpeg.

Each is tiny. `@name` stands for another clip.
"""

SHOW = "testsrc2=size=128x96:rate=25:duration=0.6"
VIDEO = ("-f", "lavfi", "-i", SHOW)
TONE = ("-f", "lavfi", "-i", "sine=duration=0.6:sample_rate=48000")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
REORDERED = ("-c:v", "libx264", "-preset", "medium", "-pix_fmt", "yuv420p")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0")
AAC = ("-c:a", "aac")
BASES = {
    "plain.mp4": (*VIDEO, *TONE, *X264, *AAC),
    "reordered.mp4": (*VIDEO, *TONE, *REORDERED, *AAC),
    "long.mp4": (*("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=3"), *REORDERED, "-g", "100"),
    "silent.mp4": (*VIDEO, *X264),
    "beep.mov": (
        *("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=3"),
        *("-f", "lavfi", "-i", "sine=sample_rate=48000:duration=3,volume='4*between(t,1.1,1.9)':eval=frame"),
        *(*X264, *AAC, "-video_track_timescale", "48000", "-movie_timescale", "1000"),
    ),
    "cover.jpg": (*VIDEO, "-frames:v", "1"),
    "mono.m4a": (*TONE, *AAC),
}
COPY, BOTH = ("copy", "copy"), ("encode", "encode")
SILENT, ENCODED = ("copy", "none"), ("encode", "none")
NEW_SOUND, NEW_PICTURE = ("copy", "encode"), ("encode", "copy")


def hdr(transfer: str) -> tuple[str, ...]:
    tags = f"log-level=0:transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc"
    coded = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params", tags)
    return (*VIDEO, *coded, "-color_trc", transfer, "-color_primaries", "bt2020", "-colorspace", "bt2020nc")


ODD: dict[str, tuple[tuple[str, ...], tuple[str, str]]] = {
    # Containers
    "index-last.mov": ((*VIDEO, *TONE, *X264, *AAC), COPY),
    "index-first.mov": ((*VIDEO, *TONE, *X264, *AAC, "-movflags", "faststart"), COPY),
    "fragments.mp4": (
        (*VIDEO, *TONE, *REORDERED, *AAC, "-g", "5", "-movflags", "frag_keyframe+empty_moov+skip_trailer"),
        COPY,
    ),
    "fragments-mfra.mp4": ((*VIDEO, *TONE, *REORDERED, *AAC, "-g", "5", "-movflags", "frag_keyframe"), COPY),
    "fragments-dash.mp4": (
        (*VIDEO, *TONE, *REORDERED, *AAC, "-g", "5", "-movflags", "dash+delay_moov"),
        COPY,
    ),
    "fragments-cmaf.mp4": (
        (*VIDEO, *TONE, *REORDERED, *AAC, "-g", "5", "-movflags", "cmaf+delay_moov+negative_cts_offsets"),
        COPY,
    ),
    "negative-cts.mp4": ((*VIDEO, *TONE, *REORDERED, *AAC, "-movflags", "negative_cts_offsets"), COPY),
    "no-edit-list.mp4": ((*VIDEO, *TONE, *REORDERED, *AAC, "-use_editlist", "0"), COPY),
    "phone.m4v": ((*VIDEO, *TONE, *X264, *AAC, "-f", "ipod"), COPY),
    "phone.3gp": ((*VIDEO, *TONE, *X264, *AAC), COPY),
    "phone.mkv": ((*VIDEO, *TONE, *REORDERED, *AAC), COPY),
    "phone.avi": ((*VIDEO, *TONE, *X264, "-c:a", "libmp3lame"), BOTH),
    "reordered.avi": ((*VIDEO, *TONE, *REORDERED, "-c:a", "libmp3lame"), BOTH),
    "phone.ts": ((*VIDEO, *TONE, *REORDERED, *AAC), BOTH),
    "hevc.ts": ((*VIDEO, *TONE, *X265, *AAC), BOTH),
    "camera.mpg": ((*VIDEO, *TONE, "-c:v", "mpeg2video", "-c:a", "mp2"), BOTH),
    "disc.vob": ((*VIDEO, *TONE, "-c:v", "mpeg2video", "-c:a", "ac3", "-f", "vob"), BOTH),
    "browser.webm": ((*VIDEO, *TONE, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-c:a", "libopus"), BOTH),
    "hevc.mkv": ((*VIDEO, *TONE, *X265, *AAC), NEW_PICTURE),
    "wrong-extension.avi.mp4": (("-i", "@plain.mp4", "-c", "copy", "-f", "matroska"), COPY),
    "wrong-extension.mkv": (("-i", "@plain.mp4", "-c", "copy", "-f", "mp4"), COPY),
    # Picture
    "hev1.mp4": ((*VIDEO, *TONE, *X265, *AAC, "-tag:v", "hev1"), NEW_PICTURE),
    "hvc1.mp4": ((*VIDEO, *TONE, *X265, *AAC, "-tag:v", "hvc1"), NEW_PICTURE),
    "ten-bit.mp4": ((*VIDEO, *X264[:-1], "yuv420p10le"), ENCODED),
    "hi422.mp4": ((*VIDEO, *X264[:-1], "yuv422p"), ENCODED),
    "hi444.mp4": ((*VIDEO, *X264[:-1], "yuv444p"), ENCODED),
    "full-range.mp4": ((*VIDEO, *X264[:-1], "yuvj420p"), SILENT),
    "grey.mp4": ((*VIDEO, *X264[:-1], "gray"), SILENT),
    "rgb.mov": ((*VIDEO, "-c:v", "libx264rgb", "-preset", "ultrafast"), ENCODED),
    "interlaced-top.mp4": ((*VIDEO, "-vf", "interlace", *X264, "-x264opts", "tff=1"), ENCODED),
    "interlaced-bottom.mkv": ((*VIDEO, "-vf", "interlace=scan=bff", *X264, "-x264opts", "bff=1"), ENCODED),
    "interlaced-turned.mov": (
        ("-display_rotation", "90", "-i", "@interlaced-top.mp4", "-c", "copy"),
        ENCODED,
    ),
    "high-level.mp4": ((*VIDEO, *X264, "-level", "6.1"), ENCODED),
    "anamorphic.mp4": ((*VIDEO, "-vf", "setsar=4/3", *X264), SILENT),
    "anamorphic-hevc.mp4": ((*VIDEO, "-vf", "setsar=4/3", *X265), ENCODED),
    "anamorphic-turned.mp4": (
        ("-display_rotation", "90", "-i", "@anamorphic-hevc.mp4", "-c", "copy"),
        ENCODED,
    ),
    "odd-size.mp4": ((*VIDEO, "-vf", "scale=129:97,setsar=1", *X265, "-pix_fmt", "yuv444p"), ENCODED),
    "tiny.mp4": ((*VIDEO, "-vf", "scale=16:16", *X264), SILENT),
    "turned-90.mov": (("-display_rotation", "-90", "-i", "@plain.mp4", "-c", "copy"), COPY),
    "turned-180.mov": (("-display_rotation", "180", "-i", "@plain.mp4", "-c", "copy"), COPY),
    "turned-270.mov": (("-display_rotation", "90", "-i", "@plain.mp4", "-c", "copy"), COPY),
    "turned-45.mov": (("-display_rotation", "45", "-i", "@plain.mp4", "-c", "copy"), NEW_PICTURE),
    "mirrored.mov": (("-display_hflip", "-i", "@plain.mp4", "-c", "copy"), NEW_PICTURE),
    "mirrored-turned.mov": (
        ("-display_rotation", "90", "-display_hflip", "-i", "@plain.mp4", "-c", "copy"),
        NEW_PICTURE,
    ),
    "turned.mkv": (("-display_rotation", "90", "-i", "@plain.mp4", "-c", "copy"), COPY),
    "turned-hevc.mov": (("-display_rotation", "90", "-i", "@hvc1.mp4", "-c", "copy"), NEW_PICTURE),
    "slow-240.mp4": (("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=240:duration=0.3", *X264), SILENT),
    "slow-240-hevc.mp4": (
        ("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=240:duration=0.3", *X265),
        ENCODED,
    ),
    "one-a-second.mp4": (("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=1:duration=3", *X264), SILENT),
    "uneven.mp4": (
        (
            *VIDEO,
            "-vf",
            "setpts='(N*0.04+0.3*gt(N,7)+0.017*mod(N,3))/TB'",
            "-fps_mode",
            "vfr",
            "-enc_time_base:v",
            "1:90000",
            *REORDERED,
        ),
        SILENT,
    ),
    "hdr10.mp4": (hdr("smpte2084"), ENCODED),
    "hlg.mp4": (hdr("arib-std-b67"), ENCODED),
    "bt601.mp4": (
        (
            *VIDEO,
            *X265,
            "-colorspace",
            "smpte170m",
            "-color_primaries",
            "smpte170m",
            "-color_trc",
            "smpte170m",
        ),
        ENCODED,
    ),
    "bt2020-sdr.mp4": (
        (*VIDEO, *X265, "-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", "bt2020-10"),
        ENCODED,
    ),
    "untagged.mp4": ((*VIDEO, *X265), ENCODED),
    "tagged.mp4": (
        (
            *VIDEO,
            *X264,
            "-colorspace",
            "bt709",
            "-color_primaries",
            "bt709",
            "-color_trc",
            "bt709",
            "-color_range",
            "tv",
        ),
        SILENT,
    ),
    "prores.mov": ((*VIDEO, *TONE, "-c:v", "prores_ks", "-profile:v", "3", "-c:a", "pcm_s24le"), BOTH),
    "apv.mp4": (
        (
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x480:rate=25:duration=0.2",
            "-c:v",
            "liboapv",
            "-pix_fmt",
            "yuv422p10le",
        ),
        ENCODED,
    ),
    "av1.mp4": ((*VIDEO, "-c:v", "libsvtav1", "-preset", "12"), ENCODED),
    "raw.mov": ((*VIDEO, "-c:v", "rawvideo", "-pix_fmt", "uyvy422"), ENCODED),
    # Sound
    **{
        f"sound-{codec}.{ext}": (
            (*VIDEO, *TONE, *X264, "-c:a", codec, *options),
            SILENT if codec in ("g722", "wavpack") else NEW_SOUND,
        )
        for codec, ext, *options in [
            ("pcm_s16le", "mov"),
            ("pcm_s16be", "mov"),
            ("pcm_s24le", "mp4"),
            ("pcm_f32le", "mov"),
            ("pcm_mulaw", "mov"),
            ("pcm_alaw", "mov"),
            ("alac", "mov"),
            ("libmp3lame", "mp4"),
            ("libopus", "mp4"),
            ("libopus", "mkv"),
            ("ac3", "mp4"),
            ("eac3", "mp4"),
            ("flac", "mp4"),
            ("libvorbis", "mkv"),
            ("g722", "mov", "-ar", "16000", "-ac", "1"),
            ("wavpack", "mkv"),
            ("libopencore_amrnb", "3gp", "-ar", "8000", "-ac", "1"),
            ("adpcm_ima_qt", "mov"),
            ("mp2", "mkv"),
            ("pcm_u8", "mov"),
            ("dca", "mkv", "-strict", "-2", "-ac", "2"),
        ]
    },
    "aac-8k.mp4": ((*VIDEO, *TONE, *X264, *AAC, "-ar", "8000"), COPY),
    "aac-96k.mp4": ((*VIDEO, *TONE, *X264, *AAC, "-ar", "96000"), COPY),
    "pcm-96k.mov": ((*VIDEO, *TONE, *X264, "-c:a", "pcm_s24le", "-ar", "96000"), NEW_SOUND),
    "pcm-8k.mov": ((*VIDEO, *TONE, *X264, "-c:a", "pcm_s16le", "-ar", "8000"), NEW_SOUND),
    "aac-5.1.mp4": ((*VIDEO, *TONE, *X264, *AAC, "-ac", "6"), COPY),
    "aac-7.1.mp4": ((*VIDEO, *TONE, *X264, *AAC, "-ac", "8"), NEW_SOUND),
    "pcm-7.1.mov": ((*VIDEO, *TONE, *X264, "-c:a", "pcm_s16le", "-ac", "8"), NEW_SOUND),
    "two-sounds.mov": (
        (
            *VIDEO,
            *TONE,
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=99:duration=0.6",
            "-map",
            "0",
            "-map",
            "1",
            "-map",
            "2",
            *X264,
            *AAC,
        ),
        COPY,
    ),
    "sound-first.mov": ((*VIDEO, *TONE, "-map", "1", "-map", "0", *X264, *AAC), COPY),
    "sound-longer.mp4": ((*VIDEO, "-f", "lavfi", "-i", "sine=duration=2", *X264, *AAC), COPY),
    "sound-shorter.mp4": ((*VIDEO, "-f", "lavfi", "-i", "sine=duration=0.2", *X264, *AAC), COPY),
    "sound-late.mov": ((*VIDEO, "-itsoffset", "1.5", *TONE, *X264, *AAC), COPY),
    "sound-late-pcm.mov": ((*VIDEO, "-itsoffset", "1.5", *TONE, *X264, "-c:a", "pcm_s16le"), NEW_SOUND),
    "sound-late-hevc.mov": ((*VIDEO, "-itsoffset", "1.5", *TONE, *X265, *AAC), NEW_PICTURE),
    "sound-early.mov": (("-itsoffset", "1.5", *VIDEO, *TONE, *X264, *AAC), COPY),
    "sound-early-pcm.mov": (("-itsoffset", "1.5", *VIDEO, *TONE, *X264, "-c:a", "pcm_s16le"), NEW_SOUND),
    "sound-early-hevc.mov": (("-itsoffset", "1.5", *VIDEO, *TONE, *X265, *AAC), NEW_PICTURE),
    "sound-early-both.mov": (("-itsoffset", "1.5", *VIDEO, *TONE, *X265, "-c:a", "pcm_s16le"), BOTH),
    "sound-late.mkv": ((*VIDEO, "-itsoffset", "1.5", *TONE, *REORDERED, *AAC), COPY),
    "sound-late.ts": ((*VIDEO, "-itsoffset", "1.5", *TONE, *REORDERED, *AAC), BOTH),
    "sound-early.ts": (("-itsoffset", "1.5", *VIDEO, *TONE, *REORDERED, *AAC), BOTH),
    # Time
    "far.mkv": ((*VIDEO, *TONE, *REORDERED, *AAC, "-output_ts_offset", "3600"), COPY),
    "far.ts": ((*VIDEO, *TONE, *REORDERED, *AAC, "-output_ts_offset", "95440"), BOTH),
    "gap.mp4": ((*VIDEO, "-vf", "setpts='(N*0.04+20*gt(N,7))/TB'", "-fps_mode", "vfr", *X264), SILENT),
    "gap-hevc.mp4": ((*VIDEO, "-vf", "setpts='(N*0.04+20*gt(N,7))/TB'", "-fps_mode", "vfr", *X265), ENCODED),
    "one-frame.mp4": ((*VIDEO, *X264, "-frames:v", "1"), SILENT),
    "one-frame-hevc.mov": ((*VIDEO, *X265, "-frames:v", "1"), ENCODED),
    "two-frames.mp4": ((*VIDEO, *TONE, *X264, *AAC, "-t", "0.08"), COPY),
    # What comes along
    "cover.mp4": (
        (
            "-i",
            "@plain.mp4",
            "-i",
            "@cover.jpg",
            "-map",
            "0",
            "-map",
            "1",
            "-c",
            "copy",
            "-disposition:v:1",
            "attached_pic",
        ),
        COPY,
    ),
    "cover-first.m4v": (
        (
            "-i",
            "@plain.mp4",
            "-i",
            "@cover.jpg",
            "-map",
            "1",
            "-map",
            "0",
            "-c",
            "copy",
            "-disposition:v:0",
            "attached_pic",
            "-f",
            "mp4",
        ),
        COPY,
    ),
    "cover.mkv": (
        ("-i", "@plain.mp4", "-attach", "@cover.jpg", "-metadata:s:t", "mimetype=image/jpeg", "-c", "copy"),
        COPY,
    ),
    "timecode.mov": (("-i", "@plain.mp4", "-c", "copy", "-timecode", "01:00:00:00"), COPY),
    "chapters.mp4": (
        ("-i", "@plain.mp4", "-f", "ffmetadata", "-i", "@chapters.txt", "-map_metadata", "1", "-c", "copy"),
        COPY,
    ),
    "subtitles.mov": (("-i", "@plain.mp4", "-i", "@words.srt", "-c", "copy", "-c:s", "mov_text"), COPY),
    "subtitles.mkv": (("-i", "@plain.mp4", "-i", "@words.srt", "-c", "copy", "-c:s", "srt"), COPY),
    "place.mov": (
        (
            "-i",
            "@plain.mp4",
            "-c",
            "copy",
            "-metadata",
            "location=+52.5200+013.4050/",
            "-metadata",
            "com.apple.quicktime.location.ISO6709=+52.5200+013.4050/",
            "-movflags",
            "use_metadata_tags",
        ),
        COPY,
    ),
    "udta-place.mp4": (("-i", "@plain.mp4", "-c", "copy", "-metadata", "location=+52.5200+013.4050/"), COPY),
    "two-films.mov": (
        ("-i", "@plain.mp4", "-i", "@silent.mp4", "-map", "0", "-map", "1", "-c", "copy"),
        COPY,
    ),
    # Cuts
    "cut-start.mp4": (("-ss", "1.5", "-i", "@long.mp4", "-c", "copy"), ENCODED),
}
UNJUDGED = {"apv.mp4", "reordered.avi", "slow-240-hevc.mp4"}
"""The judge is too old, or has no times; or frames are left out on purpose."""
TEXTS = {
    "chapters.txt": ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=300\ntitle=Secret\n",
    "words.srt": "1\n00:00:00,000 --> 00:00:00,500\nSecret\n",
}

QUICK = {
    "index-last.mov",
    "fragments-mfra.mp4",
    "fragments-dash.mp4",
    "no-edit-list.mp4",
    "phone.m4v",
    "phone.mkv",
    "reordered.avi",
    "phone.ts",
    "wrong-extension.mkv",
    "hvc1.mp4",
    "ten-bit.mp4",
    "interlaced-turned.mov",
    "anamorphic-turned.mp4",
    "turned-45.mov",
    "mirrored-turned.mov",
    "hlg.mp4",
    "apv.mp4",
    "sound-g722.mov",
    "sound-pcm_mulaw.mov",
    "aac-7.1.mp4",
    "two-sounds.mov",
    "sound-early.mov",
    "sound-late-hevc.mov",
    "far.mkv",
    "one-frame.mp4",
    "cover-first.m4v",
    "subtitles.mov",
    "udta-place.mp4",
    "cut-start.mp4",
}
"""One of each class; the whole table takes a minute or two."""
