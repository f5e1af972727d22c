from binascii import unhexlify

from pave_wire import p256

# RFC 6979, A.2.5
RFC_6979_KEY = (
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
RFC_6979 = [
    (
        b"sample",
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ),
    (
        b"test",
        "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
        "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
    ),
]

# NIST CAVP, FIPS 186-4 SigVer.rsp, [P-256,SHA-256], nine of its fifteen cases: (Result, key, message, signature)
CAVP = [
    (
        "P (0 )",
        "e424dc61d4bb3cb7ef4344a7f8957a0c5134e16f7a67c074f82e6e12f49abf3c970eed7aa2bc48651545949de1dddaf0127e5965"
        "ac85d1243d6f60e7dfaee927",
        "e1130af6a38ccb412a9c8d13e15dbfc9e69a16385af3c3f1e5da954fd5e7c45fd75e2b8c36699228e92840c0562fbf3772f07e17"
        "f1add56588dd45f7450e1217ad239922dd9c32695dc71ff2424ca0dec1321aa47064a044b7fe3c2b97d03ce470a592304c5ef21e"
        "ed9f93da56bb232d1eeb0035f9bf0dfafdcc4606272b20a3",
        "bf96b99aa49c705c910be33142017c642ff540c76349b9dab72f981fd9347f4f17c55095819089c2e03b9cd415abdf12444e3230"
        "75d98f31920b9e0f57ec871c",
    ),
    (
        "P (0 )",
        "e0fc6a6f50e1c57475673ee54e3a57f9a49f3328e743bf52f335e3eeaa3d28647f59d689c91e463607d9194d99faf316e2543287"
        "0816dde63f5d4b373f12f22a",
        "73c5f6a67456ae48209b5f85d1e7de7758bf235300c6ae2bdceb1dcb27a7730fb68c950b7fcada0ecc4661d3578230f225a875e6"
        "9aaa17f1e71c6be5c831f22663bac63d0c7a9635edb0043ff8c6f26470f02a7bc56556f1437f06dfa27b487a6c4290d8bad38d48"
        "79b334e341ba092dde4e4ae694a9c09302e2dbf443581c08",
        "1d75830cd36f4c9aa181b2c4221e87f176b7f05b7c87824e82e396c88315c407cb2acb01dac96efc53a32d4a0d85d0c2e4895521"
        "4783ecf50a4f0414a319c05a",
    ),
    (
        "P (0 )",
        "2d98ea01f754d34bbc3003df5050200abf445ec728556d7ed7d5c54c55552b6d9b52672742d637a32add056dfd6d8792f2a33c2e"
        "69dafabea09b960bc61e230a",
        "60cd64b2cd2be6c33859b94875120361a24085f3765cb8b2bf11e026fa9d8855dbe435acf7882e84f3c7857f96e2baab4d9afe45"
        "88e4a82e17a78827bfdb5ddbd1c211fbc2e6d884cddd7cb9d90d5bf4a7311b83f352508033812c776a0e00c003c7e0d628e50736"
        "c7512df0acfa9f2320bd102229f46495ae6d0857cc452a84",
        "06108e525f845d0155bf60193222b3219c98e3d49424c2fb2a0987f825c1795962b5cdd591e5b507e560167ba8f6f7cda74673eb"
        "315680cb89ccbc4eec477dce",
    ),
    (
        "F (1 - Message changed)",
        "69b7667056e1e11d6caf6e45643f8b21e7a4bebda463c7fdbc13bc98efbd0214d3f9b12eb46c7c6fda0da3fc85bc1fd831557f9a"
        "bc902a3be3cb3e8be7d1aa2f",
        "1669bfb657fdc62c3ddd63269787fc1c969f1850fb04c933dda063ef74a56ce13e3a649700820f0061efabf849a85d474326c8a5"
        "41d99830eea8131eaea584f22d88c353965dabcdc4bf6b55949fd529507dfb803ab6b480cd73ca0ba00ca19c438849e2cea262a1"
        "c57d8f81cd257fb58e19dec7904da97d8386e87b84948169",
        "288f7a1cd391842cce21f00e6f15471c04dc182fe4b14d92dc18910879799790247b3c4e89a3bcadfea73c7bfd361def43715fa3"
        "82b8c3edf4ae15d6e55e9979",
    ),
    (
        "F (2 - R changed)",
        "5cf02a00d205bdfee2016f7421807fc38ae69e6b7ccd064ee689fc1a94a9f7d2ec530ce3cc5c9d1af463f264d685afe2b4db4b58"
        "28d7e61b748930f3ce622a85",
        "069a6e6b93dfee6df6ef6997cd80dd2182c36653cef10c655d524585655462d683877f95ecc6d6c81623d8fac4e900ed00199640"
        "94e7de91f1481989ae1873004565789cbf5dc56c62aedc63f62f3b894c9c6f7788c8ecaadc9bd0e81ad91b2b3569ea12260e9392"
        "4fdddd3972af5273198f5efda0746219475017557616170e",
        "dc23d130c6117fb5751201455e99f36f59aba1a6a21cf2d0e7481a97451d6693d6ce7708c18dbf35d4f8aa7240922dc6823f2e70"
        "58cbc1484fcad1599db5018c",
    ),
    (
        "F (3 - S changed)",
        "87f8f2b218f49845f6f10eec3877136269f5c1a54736dbdf69f89940cad41555e15f369036f49842fac7a86c8a2b055760977681"
        "4448b8f5e84aa9f4395205e9",
        "e4796db5f785f207aa30d311693b3702821dff1168fd2e04c0836825aefd850d9aa60326d88cde1a23c7745351392ca2288d632c"
        "264f197d05cd424a30336c19fd09bb229654f0222fcb881a4b35c290a093ac159ce13409111ff0358411133c24f5b8e2090d6db6"
        "558afc36f06ca1f6ef779785adba68db27a409859fc4c4a0",
        "d19ff48b324915576416097d2544f7cbdf8768b1454ad20e0baac50e211f23b0a3e81e59311cdfff2d4784949f7a2cb50ba6c3a9"
        "1fa54710568e61aca3e847c6",
    ),
    (
        "F (4 - Q changed)",
        "2ddfd145767883ffbb0ac003ab4a44346d08fa2570b3120dcce94562422244cb5f70c7d11ac2b7a435ccfbbae02c3df1ea6b532c"
        "c0e9db74f93fffca7c6f9a64",
        "df04a346cf4d0e331a6db78cca2d456d31b0a000aa51441defdb97bbeb20b94d8d746429a393ba88840d661615e07def615a342a"
        "bedfa4ce912e562af714959896858af817317a840dcff85a057bb91a3c2bf90105500362754a6dd321cdd86128cfc5f04667b57a"
        "a78c112411e42da304f1012d48cd6a7052d7de44ebcc01de",
        "9913111cff6f20c5bf453a99cd2c2019a4e749a49724a08774d14e4c113edda89467cd4cd21ecb56b0cab0a9a453b43386845459"
        "127a952421f5c6382866c5cc",
    ),
    (
        "F (4 - Q changed)",
        "3dfb6f40f2471b29b77fdccba72d37c21bba019efa40c1c8f91ec405d7dcc5dff22f953f1e395a52ead7f3ae3fc47451b438117b"
        "1e04d613bc8555b7d6e6d1bb",
        "7e80436bce57339ce8da1b5660149a20240b146d108deef3ec5da4ae256f8f894edcbbc57b34ce37089c0daa17f0c46cd82b5a15"
        "99314fd79d2fd2f446bd5a25b8e32fcf05b76d644573a6df4ad1dfea707b479d97237a346f1ec632ea5660efb57e8717a8628d7f"
        "82af50a4e84b11f21bdff6839196a880ae20b2a0918d58cd",
        "548886278e5ec26bed811dbb72db1e154b6f17be70deb1b210107decb1ec2a5ae93bfebd2f14f3d827ca32b464be6e69187f5edb"
        "d52def4f96599c37d58eee75",
    ),
    (
        "F (2 - R changed)",
        "a849bef575cac3c6920fbce675c3b787136209f855de19ffe2e8d29b31a5ad86bf5fe4f7858f9b805bd8dcc05ad5e7fb889de2f8"
        "22f3d8b41694e6c55c16b471",
        "666036d9b4a2426ed6585a4e0fd931a8761451d29ab04bd7dc6d0c5b9e38e6c2b263ff6cb837bd04399de3d757c6c7005f6d7a98"
        "7063cf6d7e8cb38a4bf0d74a282572bd01d0f41e3fd066e3021575f0fa04f27b700d5b7ddddf50965993c3f9c7118ed78888da7c"
        "b221849b3260592b8e632d7c51e935a0ceae15207bedd548",
        "25acc3aa9d9e84c7abf08f73fa4195acc506491d6fc37cb9074528a7db87b9d69b21d5b5259ed3f2ef07dfec6cc90d3a37855d1c"
        "e122a85ba6a333f307d31537",
    ),
]

# Project Wycheproof, testvectors_v1/ecdsa_secp256r1_sha256_p1363_test.json (C2SP), up to three of each kind of its 262
# cases: (tcId, flags, valid, key, message, signature)
WYCHEPROOF = [
    (
        1,
        "ValidSignature",
        True,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "2ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e184cd60b855d442f5b3c7b11eb6c4e0ae7525fe710"
        "fab9aa7c77a67f79e6fadd76",
    ),
    (
        2,
        "RangeCheck",
        False,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "012ba3a8bd6b94d5ed80a6d9d1190a436ebccc0833490686deac8635bcb9bf536900b329f479a2bbd0a5c384ee1493b1f5186a87"
        "139cac5df4087c134b49156847db",
    ),
    (
        3,
        "RangeCheck",
        False,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "01002ba3a7be6b94d6ec80a6d9d1190a432be6dfbb2cb98d6d4d72972df620817f180000b329f479a2bbd0a5c384ee1493b1f518"
        "6a87139cac5df4087c134b49156847db",
    ),
    (
        4,
        "ModifiedInteger",
        False,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "d45c5740946b2a147f59262ee6f5bc90bd01ed280528b62b3aed5fc93f06f739b329f479a2bbd0a5c384ee1493b1f5186a87139c"
        "ac5df4087c134b49156847db",
    ),
    (
        5,
        "IntegerOverflow",
        False,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "012ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e1800b329f479a2bbd0a5c384ee1493b1f5186a87"
        "139cac5df4087c134b49156847db",
    ),
    (
        6,
        "IntegerOverflow",
        False,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "0100000000000000002ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18000000000000000000b329"
        "f479a2bbd0a5c384ee1493b1f5186a87139cac5df4087c134b49156847db",
    ),
    (
        7,
        "RangeCheck",
        False,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "01b329f478a2bbd0a6c384ee1493b1f518276e0e4a5375928d6fcd160c11cb6d2c00b329f479a2bbd0a5c384ee1493b1f5186a87"
        "139cac5df4087c134b49156847db",
    ),
    (
        9,
        "IntegerOverflow",
        False,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "01b329f479a2bbd0a5c384ee1493b1f5186a87139cac5df4087c134b49156847db00b329f479a2bbd0a5c384ee1493b1f5186a87"
        "139cac5df4087c134b49156847db",
    ),
    (
        11,
        "InvalidSignature",
        False,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000000",
    ),
    (
        12,
        "InvalidSignature",
        False,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "000000000000000000000001",
    ),
    (
        13,
        "InvalidSignature",
        False,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "313233343030",
        "0000000000000000000000000000000000000000000000000000000000000000ffffffff00000000ffffffffffffffffbce6faad"
        "a7179e84f3b9cac2fc632551",
    ),
    (
        60,
        "EdgeCaseShamirMultiplication",
        True,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "3639383139",
        "64a1aab5000d0e804f3e2fc02bdee9be8ff312334e2ba16d11547c97711c898e6af015971cc30be6d1a206d4e013e0997772a2f9"
        "1d73286ffd683b9bb2cf4f1b",
    ),
    (
        61,
        "SpecialCaseHash",
        True,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "343236343739373234",
        "16aea964a2f6506d6f78c81c91fc7e8bded7d397738448de1e19a0ec580bf266252cd762130c6667cfe8b7bc47d27d78391e8e80"
        "c578d1cd38c3ff033be928e9",
    ),
    (
        62,
        "SpecialCaseHash",
        True,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "37313338363834383931",
        "9cc98be2347d469bf476dfc26b9b733df2d26d6ef524af917c665baccb23c882093496459effe2d8d70727b82462f61d0ec1b784"
        "7929d10ea631dacb16b56c32",
    ),
    (
        63,
        "SpecialCaseHash",
        True,
        "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9"
        "685001558d1a974e7341513e",
        "3130333539333331363638",
        "73b3c90ecd390028058164524dde892703dce3dea0d53fa8093999f07ab8aa432f67b0b8e20636695bb7d8bf0a651c802ed25a39"
        "5387b5f4188c0c4075c88634",
    ),
    (
        115,
        "ArithmeticError",
        True,
        "0ad99500288d466940031d72a9f5445a4d43784640855bf0a69874d2de5fe103c5011e6ef2c42dcd50d5d3d29f99ae6eba2c80c9"
        "244f4c5422f0979ff0c3ba5e",
        "313233343030",
        "000000000000000000000000000000004319055358e8617b0c46353d039cdaabffffffff00000000ffffffffffffffffbce6faad"
        "a7179e84f3b9cac2fc63254e",
    ),
    (
        116,
        "ArithmeticError",
        False,
        "0ad99500288d466940031d72a9f5445a4d43784640855bf0a69874d2de5fe103c5011e6ef2c42dcd50d5d3d29f99ae6eba2c80c9"
        "244f4c5422f0979ff0c3ba5e",
        "313233343030",
        "ffffffff00000001000000000000000000000000fffffffffffffffffffffffcffffffff00000000ffffffffffffffffbce6faad"
        "a7179e84f3b9cac2fc63254e",
    ),
    (
        117,
        "ArithmeticError",
        True,
        "ab05fd9d0de26b9ce6f4819652d9fc69193d0aa398f0fba8013e09c58220455419235271228c786759095d12b75af0692dd4103f"
        "19f6a8c32f49435a1e9b8d45",
        "313233343030",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63254fffffffff00000000ffffffffffffffffbce6faad"
        "a7179e84f3b9cac2fc63254e",
    ),
    (
        118,
        "ArithmeticError",
        True,
        "80984f39a1ff38a86a68aa4201b6be5dfbfecf876219710b07badf6fdd4c6c5611feb97390d9826e7a06dfb41871c940d74415ed"
        "3cac2089f1445019bb55ed95",
        "313233343030",
        "7ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffd909135bdb6799286170f5ead2de4f6511453fe50"
        "914f3df2de54a36383df8dd4",
    ),
    (
        120,
        "SmallRandS ArithmeticError",
        True,
        "a71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac9575d47723c8fbe580bb369fec9c2665d8e30a435b9"
        "932645482e7c9f11e872296b",
        "313233343030",
        "00000000000000000000000000000000000000000000000000000000000000050000000000000000000000000000000000000000"
        "000000000000000000000001",
    ),
    (
        121,
        "SmallRandS ArithmeticError SignatureSize",
        False,
        "a71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac9575d47723c8fbe580bb369fec9c2665d8e30a435b9"
        "932645482e7c9f11e872296b",
        "313233343030",
        "0501",
    ),
    (
        122,
        "SmallRandS ArithmeticError",
        True,
        "6627cec4f0731ea23fc2931f90ebe5b7572f597d20df08fc2b31ee8ef16b15726170ed77d8d0a14fc5c9c3c4c9be7f0d3ee18f70"
        "9bb275eaf2073e258fe694a5",
        "313233343030",
        "00000000000000000000000000000000000000000000000000000000000000050000000000000000000000000000000000000000"
        "000000000000000000000003",
    ),
    (
        123,
        "SmallRandS ArithmeticError SignatureSize",
        False,
        "6627cec4f0731ea23fc2931f90ebe5b7572f597d20df08fc2b31ee8ef16b15726170ed77d8d0a14fc5c9c3c4c9be7f0d3ee18f70"
        "9bb275eaf2073e258fe694a5",
        "313233343030",
        "0503",
    ),
    (
        124,
        "SmallRandS ArithmeticError",
        True,
        "5a7c8825e85691cce1f5e7544c54e73f14afc010cb731343262ca7ec5a77f5bfef6edf62a4497c1bd7b147fb6c3d22af3c39bfce"
        "95f30e13a16d3d7b2812f813",
        "313233343030",
        "00000000000000000000000000000000000000000000000000000000000000050000000000000000000000000000000000000000"
        "000000000000000000000005",
    ),
    (
        125,
        "SmallRandS ArithmeticError SignatureSize",
        False,
        "5a7c8825e85691cce1f5e7544c54e73f14afc010cb731343262ca7ec5a77f5bfef6edf62a4497c1bd7b147fb6c3d22af3c39bfce"
        "95f30e13a16d3d7b2812f813",
        "313233343030",
        "0505",
    ),
    (
        136,
        "ArithmeticError",
        False,
        "d03eb09913cc20c6a8d0070f0d8d2a7f63527fafa44117fce6bd1ef2aa4ae3c46d5df3f45ac58fa334c6d102381b3120b7a24556"
        "00dcaff3d1a845514f12bf46",
        "313233343030",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc6325570000000000000000000000000000000000000000"
        "000000000000000000000007",
    ),
    (
        137,
        "ArithmeticError",
        False,
        "3a72476291571193b4d109b2c37b59f2807e8fe9cffd804eacded903e77ca0da592dbc74fee0ca7508cc7bc282b0c51a143286ff"
        "53c60131668e7a0929e4ed04",
        "313233343030",
        "0000000000000000000000000000000000000000000000000000000000000006ffffffff00000000ffffffffffffffffbce6faad"
        "a7179e84f3b9cac2fc75fbd8",
    ),
    (
        145,
        "ArithmeticError SignatureSize",
        False,
        "e075effd9607d08d5f34e3652f64cfa3bd6d20c58d0a232f058491260ab212a4cc61760ac8b0680c1b644c03cc628ba9dc4a3c05"
        "61368489c692bd40f43aa3ca",
        "313233343030",
        "9c44febf31c3594f839ed28247c2b06b",
    ),
    (
        147,
        "ArithmeticError SignatureSize",
        False,
        "cffb758c3073ea3c08efd9f7f17a85b6ae385c5a140c146ad5f1f5a826718bc8dfdc6bebc894144c6d418ac5d97339726ad2ae92"
        "5df868426e5628e9f4e62342",
        "313233343030",
        "09df8b682430beef6f5fd7c7cd0fd0a62e13778f4222a0d61c8a",
    ),
    (
        149,
        "ArithmeticError SignatureSize",
        False,
        "b98740e69e61a325d5f772e3b5c4f67fb7150b16a9afeca9ddc4afcbb6fa0549c446e814138e4ebc82dbf86a390056d4595dcf45"
        "e381fef217a4597d7bd51498",
        "313233343030",
        "8a598e563a89f526c32ebec8de26367c84f633e2042630e99dd0f1e16f7a04bf",
    ),
    (
        154,
        "ModularInverse ArithmeticError",
        True,
        "61722eaba731c697c7a9ba4d0afdbb5713d8aa12b0eab601bb33dbaf792c5adc272cd993b2b663aba5b3a26c101182ff17868494"
        "5e83879e71598b95fe647dfc",
        "313233343030",
        "555555550000000055555555555555553ef7a8e48d07df81a693439654210c7002f676969f451a8ccafa4c4f09791810e6d632db"
        "d60b1d5540f3284fbe1889b0",
    ),
    (
        155,
        "ModularInverse ArithmeticError",
        True,
        "c4c91981e720e20d7e478ff19d09b95a98f58c0f469b72801a8ce844a347316594afcd4188182e7779889b3258d0368ece1e6679"
        "7fe7c648c6f0b9e26bd71871",
        "313233343030",
        "555555550000000055555555555555553ef7a8e48d07df81a693439654210c704e260962e33362ef0046126d2d5a4edc6947ab20"
        "e19b8ec19cf79e5908b6e628",
    ),
    (
        156,
        "ModularInverse ArithmeticError",
        True,
        "d58d47bf49bc8f416641f6f760fcbca80aa52a814e56a5fa40bab44fd6f6317216deaa84d45d8e0e29cc9ecf5653f8ee64447508"
        "13becae8deb42b04ba07a634",
        "313233343030",
        "555555550000000055555555555555553ef7a8e48d07df81a693439654210c70077ed0d8f20f697d8fc591ac64dd5219c7932122"
        "b4f9b9ec6441e44a0092cf21",
    ),
    (
        169,
        "PointDuplication ArithmeticError",
        False,
        "b533d4695dd5b8c5e07757e55e6e516f7e2c88fa0239e23f60e8ec07dd70f2871b134ee58cc583278456863f33c3a85d881f7d4a"
        "39850143e29d4eaf009afe47",
        "313233343030",
        "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8555555550000000055555555555555553ef7a8e4"
        "8d07df81a693439654210c70",
    ),
    (
        204,
        "PointDuplication",
        True,
        "5b812fd521aafa69835a849cce6fbdeb6983b442d2444fe70e134c027fc46963838a40f2a36092e9004e92d8d940cf5638550ce6"
        "72ce8b8d4e15eba5499249e9",
        "313233343030",
        "6f2347cab7dd76858fe0555ac3bc99048c4aacafdfb6bcbe05ea6c42c4934569bb726660235793aa9957a61e76e00c2c435109cf"
        "9a15dd624d53f4301047856b",
    ),
    (
        205,
        "PointDuplication",
        False,
        "5b812fd521aafa69835a849cce6fbdeb6983b442d2444fe70e134c027fc469637c75bf0c5c9f6d17ffb16d2726bf30a9c7aaf31a"
        "8d317472b1ea145ab66db616",
        "313233343030",
        "6f2347cab7dd76858fe0555ac3bc99048c4aacafdfb6bcbe05ea6c42c4934569bb726660235793aa9957a61e76e00c2c435109cf"
        "9a15dd624d53f4301047856b",
    ),
    (
        221,
        "PointDuplication",
        False,
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce3357"
        "6b315ececbb6406837bf51f5",
        "313233343030",
        "bb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023249249246db6db6ddb6db6db6db6db6dad459186"
        "8595a8ee6bf5f864ff7be0c2",
    ),
    (
        222,
        "PointDuplication",
        False,
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce3357"
        "6b315ececbb6406837bf51f5",
        "313233343030",
        "44a5ad0ad0636d9f12bc9e0a6bdd5e1cbcb012ea7bf091fcec15b0c43202d52e249249246db6db6ddb6db6db6db6db6dad459186"
        "8595a8ee6bf5f864ff7be0c2",
    ),
    (
        223,
        "PointDuplication",
        False,
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296b01cbd1c01e58065711814b583f061e9d431cca9"
        "94cea1313449bf97c840ae0a",
        "313233343030",
        "bb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023249249246db6db6ddb6db6db6db6db6dad459186"
        "8595a8ee6bf5f864ff7be0c2",
    ),
    (
        224,
        "PointDuplication",
        False,
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296b01cbd1c01e58065711814b583f061e9d431cca9"
        "94cea1313449bf97c840ae0a",
        "313233343030",
        "44a5ad0ad0636d9f12bc9e0a6bdd5e1cbcb012ea7bf091fcec15b0c43202d52e249249246db6db6ddb6db6db6db6db6dad459186"
        "8595a8ee6bf5f864ff7be0c2",
    ),
    (
        225,
        "ValidSignature",
        True,
        "04aaec73635726f213fb8a9e64da3b8632e41495a944d0045b522eba7240fad587d9315798aaa3a5ba01775787ced05eaaf7b4e0"
        "9fc81d6d1aa546e8365d525d",
        "",
        "b292a619339f6e567a305c951c0dcbcc42d16e47f219f9e98e76e09d8770b34a0177e60492c5a8242f76f07bfe3661bde59ec2a1"
        "7ce5bd2dab2abebdf89a62e2",
    ),
    (
        226,
        "ValidSignature",
        True,
        "04aaec73635726f213fb8a9e64da3b8632e41495a944d0045b522eba7240fad587d9315798aaa3a5ba01775787ced05eaaf7b4e0"
        "9fc81d6d1aa546e8365d525d",
        "4d7367",
        "530bd6b0c9af2d69ba897f6b5fb59695cfbf33afe66dbadcf5b8d2a2a6538e23d85e489cb7a161fd55ededcedbf4cc0c0987e3e3"
        "f0f242cae934c72caa3f43e9",
    ),
    (
        229,
        "EdgeCasePublicKey",
        True,
        "4f337ccfd67726a805e4f1600ae2849df3807eca117380239fbd816900000000ed9dea124cc8c396416411e988c30f427eb504af"
        "43a3146cd5df7ea60666d685",
        "4d657373616765",
        "d434e262a49eab7781e353a3565e482550dd0fd5defa013c7f29745eff3569f19b0c0a93f267fb6052fd8077be769c2b98953195"
        "d7bc10de844218305c6ba17a",
    ),
    (
        230,
        "EdgeCasePublicKey",
        True,
        "4f337ccfd67726a805e4f1600ae2849df3807eca117380239fbd816900000000ed9dea124cc8c396416411e988c30f427eb504af"
        "43a3146cd5df7ea60666d685",
        "4d657373616765",
        "0fe774355c04d060f76d79fd7a772e421463489221bf0a33add0be9b1979110b500dcba1c69a8fbd43fa4f57f743ce124ca8b91a"
        "1f325f3fac6181175df55737",
    ),
    (
        231,
        "EdgeCasePublicKey",
        True,
        "4f337ccfd67726a805e4f1600ae2849df3807eca117380239fbd816900000000ed9dea124cc8c396416411e988c30f427eb504af"
        "43a3146cd5df7ea60666d685",
        "4d657373616765",
        "bb40bf217bed3fb3950c7d39f03d36dc8e3b2cd79693f125bfd06595ee1135e3541bf3532351ebb032710bdb6a1bf1bfc89a1e29"
        "1ac692b3fa4780745bb55677",
    ),
]


def test_the_signatures_of_rfc_6979_verify_and_for_no_other_message():
    key = unhexlify(RFC_6979_KEY)
    for message, signature in RFC_6979:
        assert p256.verify(key, message, unhexlify(signature))
        assert not p256.verify(key, message + b" ", unhexlify(signature))


def test_nist_cavp_verdicts_are_reproduced():
    for result, key, message, signature in CAVP:
        assert p256.verify(unhexlify(key), unhexlify(message), unhexlify(signature)) == result.startswith("P"), result


def test_wycheproof_verdicts_are_reproduced():
    for number, flags, valid, key, message, signature in WYCHEPROOF:
        assert p256.verify(unhexlify(key), unhexlify(message), unhexlify(signature)) == valid, (number, flags)


def test_a_key_off_the_curve_or_of_another_length_verifies_nothing():
    message, signature = RFC_6979[0]
    signature = unhexlify(signature)
    key = unhexlify(RFC_6979_KEY)
    over_p = (int.from_bytes(key[:32], "big") + p256._P) % 2**256
    for wrong in (
        b"",
        key[:63],
        key + b"\0",
        b"\x04" + key,
        bytes(64),
        key[:63] + bytes([key[63] ^ 1]),
        bytes(32) + key[32:],
        over_p.to_bytes(32, "big") + key[32:],
        b"\xff" * 64,
    ):
        assert not p256.verify(wrong, message, signature), wrong


def test_every_bit_of_the_signature_counts():
    message, signature = RFC_6979[0]
    for at in range(0, 512, 47):
        wrong = bytearray(unhexlify(signature))
        wrong[at >> 3] ^= 1 << (at & 7)
        assert not p256.verify(unhexlify(RFC_6979_KEY), message, bytes(wrong)), at
