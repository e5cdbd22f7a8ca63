//! What Pillow 13.0.0 makes of two formula-made pictures, through the functions of timm 1.0.31.

use super::Operation;

/// Interleaved bytes of a picture with values all over the range, 20 x 15 pixels for the table.
pub(super) fn noisy([height, width]: [usize; 2], channels: usize) -> Vec<u8> {
    picture([height, width], channels, |x, y, c| {
        x * 37 + y * 91 + c * 53 + x * y
    })
}

/// Interleaved bytes of a picture with few contrasts, 33 x 40 pixels for the table.
pub(super) fn dull([height, width]: [usize; 2], channels: usize) -> Vec<u8> {
    picture([height, width], channels, |x, y, c| {
        40 + (x * 3 + y * 2 + c * 20 + (x * y) % 7) % 150
    })
}

fn picture(
    [height, width]: [usize; 2],
    channels: usize,
    value: impl Fn(usize, usize, usize) -> usize,
) -> Vec<u8> {
    let mut samples = Vec::new();
    for y in 0..height {
        for x in 0..width {
            samples.extend((0..channels).map(|c| value(x, y, c) as u8));
        }
    }
    samples
}

/// FNV-1a.
pub(super) fn checksum(samples: &[u8]) -> u64 {
    samples.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// Checksums of `noisy` in RGB and luma, then of `dull` in RGB and luma; filled with 124, 116, 104 and with 117.
#[rustfmt::skip]
pub(super) const CHECKSUMS: &[(Operation, [u64; 4])] = &[
    (Operation::AutoContrast, [0xb79c43f54913d9a5, 0x189cada444d8b181, 0x97ab8ddf460dcdbb, 0x802a2fe087b3fbcf]),
    (Operation::Equalize, [0xf42d3035a2f37185, 0xcd534510abd6b8da, 0x2fca89bab8389748, 0x4ad8d2ccfd74ee28]),
    (Operation::Invert, [0x4b5e6d576355cc59, 0x4d63724ce98e5e35, 0x1079b53907ee0f8a, 0xa45dc4f74e737a2a]),
    (Operation::Rotate { degrees: 27.0 }, [0xcbbd8f830a00a912, 0x9b6e39fe6b9afed4, 0x56fc87b6f555df66, 0x9e4db1af7534f5c2]),
    (Operation::Rotate { degrees: -27.0 }, [0xaef91cb83cbba85c, 0x64475d430d378dca, 0xd732db7ab58f798f, 0x8877f5f84c6945c7]),
    (Operation::Rotate { degrees: 13.337 }, [0x0fc26cded4e3c69d, 0x083508350ef0bf9c, 0x14d6799fdde7d8b3, 0x1071d92bc2a44781]),
    (Operation::Rotate { degrees: -0.5 }, [0x4e1577f0ea95514e, 0x3835cbd8e78e5775, 0x89132c7a22d5a558, 0xf669dc427a7f91ae]),
    (Operation::Rotate { degrees: 0.0 }, [0xff4649c94cad75f5, 0x189cada444d8b181, 0x6efe30a9853db3da, 0xe6e18e02ad5eccda]),
    (Operation::Posterize { bits: 1 }, [0x8675240ed82f48f5, 0xd3b598a8b0e31715, 0xaf96dbc6c5d36f05, 0x98030d865db438c5]),
    (Operation::Posterize { bits: 3 }, [0x45519af777c5d955, 0xdf3e19ca821bde75, 0x577f1bf622896085, 0x8adbca1b6cf2ae85]),
    (Operation::Posterize { bits: 4 }, [0xa06f7f515aa96225, 0x3b3da125f7955b35, 0xdf0eb41c5282efe5, 0x7a47cbae56cf16a5]),
    (Operation::Posterize { bits: 8 }, [0xff4649c94cad75f5, 0x189cada444d8b181, 0x6efe30a9853db3da, 0xe6e18e02ad5eccda]),
    (Operation::Solarize { threshold: 0 }, [0x4b5e6d576355cc59, 0x4d63724ce98e5e35, 0x1079b53907ee0f8a, 0xa45dc4f74e737a2a]),
    (Operation::Solarize { threshold: 26 }, [0xdaa665573b9c9b7f, 0xd685b0061803f7d9, 0x1079b53907ee0f8a, 0xa45dc4f74e737a2a]),
    (Operation::Solarize { threshold: 128 }, [0x8c301748265a4a71, 0x53fa215d2d2d5a17, 0x75ef3831cc9ac73d, 0xcad7b3a9007be191]),
    (Operation::Solarize { threshold: 256 }, [0xff4649c94cad75f5, 0x189cada444d8b181, 0x6efe30a9853db3da, 0xe6e18e02ad5eccda]),
    (Operation::SolarizeAdd { add: 0 }, [0xff4649c94cad75f5, 0x189cada444d8b181, 0x6efe30a9853db3da, 0xe6e18e02ad5eccda]),
    (Operation::SolarizeAdd { add: 99 }, [0x72c0e3bd677e7481, 0x2cd54dc141ed4d3b, 0x568aeded19d0c8e7, 0x700856e173d1084b]),
    (Operation::SolarizeAdd { add: 110 }, [0xf6611cfcfcdd3405, 0x62825449e2e41045, 0x58d907eb2c78ecc4, 0xdb056ce8b7aa090c]),
    (Operation::Color { factor: 0.1 }, [0x30cb2bb5cc507eb8, 0x189cada444d8b181, 0xf617f03b998c85fa, 0xe6e18e02ad5eccda]),
    (Operation::Color { factor: 0.19 }, [0x18576ed030c09f9a, 0x189cada444d8b181, 0xc39f0b9361abff69, 0xe6e18e02ad5eccda]),
    (Operation::Color { factor: 0.5 }, [0x6b9d17ce5236a5e1, 0x189cada444d8b181, 0x5ad68d516de65dfc, 0xe6e18e02ad5eccda]),
    (Operation::Color { factor: 1.0 }, [0xff4649c94cad75f5, 0x189cada444d8b181, 0x6efe30a9853db3da, 0xe6e18e02ad5eccda]),
    (Operation::Color { factor: 1.81 }, [0x8838677219fb4de4, 0x189cada444d8b181, 0x02f2c9ceaedce3f7, 0xe6e18e02ad5eccda]),
    (Operation::Color { factor: 1.9 }, [0x960e3fba0e069b86, 0x189cada444d8b181, 0x2fb15bc1dc5f8f35, 0xe6e18e02ad5eccda]),
    (Operation::Contrast { factor: 0.1 }, [0x1bdc8d12aa3c5b39, 0xdab45ec78cb9ea08, 0x023c60e3135c284d, 0xa792478ea081864c]),
    (Operation::Contrast { factor: 0.19 }, [0xacf30b6dc573c5f7, 0x55ae35aa6ddc8241, 0xf49f1fdfb40e0675, 0x7555bf980f37b522]),
    (Operation::Contrast { factor: 0.5 }, [0x28c6d07239cbee9d, 0x27ce167d9c15acad, 0xcf2db6d6a7f2f515, 0x789df1e36dcf7ad9]),
    (Operation::Contrast { factor: 1.0 }, [0xff4649c94cad75f5, 0x189cada444d8b181, 0x6efe30a9853db3da, 0xe6e18e02ad5eccda]),
    (Operation::Contrast { factor: 1.81 }, [0x8c346813708f9b39, 0xbd9fb89e7f7b099d, 0xe2492811f077e2a3, 0xbbf8305310b8e684]),
    (Operation::Contrast { factor: 1.9 }, [0xeecf568ee24a00e7, 0x26bdc5272c0f56eb, 0x8f40a83bf62db809, 0x56349dad32bfa6b7]),
    (Operation::Brightness { factor: 0.1 }, [0xd5e328588a8860e1, 0x0dfe156f811cb0f6, 0xbeeb528865e2e15c, 0x21a26336a0a9be85]),
    (Operation::Brightness { factor: 0.19 }, [0x742733a6b77dfb11, 0x7e392ec9779f783f, 0x8df09cf32f62da08, 0xce315456a847252a]),
    (Operation::Brightness { factor: 0.5 }, [0x5ae84365c0f7a215, 0x2b48a985cdd87f2d, 0xe24412a044de5995, 0xf69a5927e54d00a8]),
    (Operation::Brightness { factor: 1.0 }, [0xff4649c94cad75f5, 0x189cada444d8b181, 0x6efe30a9853db3da, 0xe6e18e02ad5eccda]),
    (Operation::Brightness { factor: 1.81 }, [0x3336c1e1a00abc95, 0x193d2a5e5736e80f, 0x68daf3cae946db9f, 0x7ca023675a71ab29]),
    (Operation::Brightness { factor: 1.9 }, [0x2336f55e26f9a1bc, 0xeeef5274e385a6dc, 0x9bce7a0689d2b18f, 0x3a19098be5372f1e]),
    (Operation::Sharpness { factor: 0.1 }, [0xe7550604a6a6bc46, 0x22ef077ea886c614, 0x2adafb8e2550f688, 0x0d281bc4e0055577]),
    (Operation::Sharpness { factor: 0.19 }, [0x4053cd365c213111, 0xf83546d03a17963b, 0xcf2ab9f5b73e2348, 0x6eddffb41ecd323d]),
    (Operation::Sharpness { factor: 0.5 }, [0xa425868905e57d46, 0x9d2b9d973964f20c, 0xf9666dd1b92b4cd2, 0x5059d506f89778ef]),
    (Operation::Sharpness { factor: 1.0 }, [0xff4649c94cad75f5, 0x189cada444d8b181, 0x6efe30a9853db3da, 0xe6e18e02ad5eccda]),
    (Operation::Sharpness { factor: 1.81 }, [0xc70097a9f7c1a08c, 0xcb1a2e27ee20d2b5, 0xcef3a1405bca7d4e, 0x044135ee04d635d5]),
    (Operation::Sharpness { factor: 1.9 }, [0xa07c7c6c6e6d2036, 0x8e4a37f5abeb2577, 0x7cb9cac0d053aec5, 0xc228f85507b9b5b2]),
    (Operation::ShearX { factor: 0.27 }, [0x691b20199a63aba8, 0xd9eec9b3f9c4c4d1, 0x757eca8221cf062f, 0xd7fca33d56e7f138]),
    (Operation::ShearX { factor: -0.27 }, [0x165b82ecd2a01c1a, 0x56b9f8cf8349dd8c, 0x419dc883ec169cd7, 0xf31e86898561ccfb]),
    (Operation::ShearX { factor: 0.3 }, [0xf8ce771344285355, 0xb79ed34759a413bc, 0x4496fd04c02ff284, 0x8fba5c2bdda91e66]),
    (Operation::ShearX { factor: 0.0 }, [0xff4649c94cad75f5, 0x189cada444d8b181, 0x6efe30a9853db3da, 0xe6e18e02ad5eccda]),
    (Operation::ShearY { factor: 0.27 }, [0x8f62b78f7989720a, 0x5b804c25dcfd93e2, 0x94746fe4e1aec087, 0x41b88b58e5115bb5]),
    (Operation::ShearY { factor: -0.27 }, [0x3380362e126a89a5, 0x946137e669bf1952, 0xd40429d9c31ab6aa, 0xa2cb191fb24660db]),
    (Operation::ShearY { factor: 0.3 }, [0x1d05a180aec80630, 0x77a683e498c77f5a, 0x0e9dab7ab59a0a8e, 0xd34c66d3bd1629a7]),
    (Operation::ShearY { factor: 0.0 }, [0xff4649c94cad75f5, 0x189cada444d8b181, 0x6efe30a9853db3da, 0xe6e18e02ad5eccda]),
    (Operation::TranslateX { fraction: 0.405 }, [0xc17e650fa3fd5622, 0x69897c1af0601fc5, 0xce74bc9455fa41a4, 0xa1f965673111c041]),
    (Operation::TranslateX { fraction: -0.405 }, [0x07fc91e6501578c7, 0xf9cf1e08560a6434, 0xcb28b67b0ded5720, 0x142a21a4c203cd91]),
    (Operation::TranslateX { fraction: 0.45 }, [0x4930c63bd56bacb1, 0x2ce82debd7568a19, 0x4eb411d7f87b2585, 0xa1a2d97e767061c2]),
    (Operation::TranslateX { fraction: 0.1234 }, [0x5b6addaf513bc5f0, 0xa8b88de47fe02f3b, 0x2299233904f9bdff, 0x34feccb6e9ed3fed]),
    (Operation::TranslateY { fraction: 0.405 }, [0x5ed02feda8486cf6, 0xee33aaae8368639e, 0xe5f0f2a2f6caf735, 0x8159b70eccc5d677]),
    (Operation::TranslateY { fraction: -0.405 }, [0x29e46753e488203a, 0x2e047b20b491abd5, 0xb5861c280fbdd751, 0x64a30f64755572ff]),
    (Operation::TranslateY { fraction: 0.45 }, [0xb13a815c05667f71, 0xb68ddbf316f20c4d, 0xe6419b54732a5e6b, 0x55a8f42dba90da91]),
    (Operation::TranslateY { fraction: 0.1234 }, [0x1becfb11de9ed5a4, 0x5a0e87f93a75ce54, 0x5ff103a59ef4ba03, 0x70d5eb1be456b658]),
];
