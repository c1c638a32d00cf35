// Published test vectors of SRTP as hexadecimal text.
#pragma once

#include <string_view>

namespace spillway::vectors {

// RFC 3711 appendix B.3: key derivation, AES-128, kdr 0.
inline constexpr std::string_view kKdfMasterKey = "E1F97A0D3E018BE0D64FA32C06DE4139";
inline constexpr std::string_view kKdfMasterSalt = "0EC675AD498AFEEBB6960B3AABE6";
inline constexpr std::string_view kKdfCipherKey = "C61E7A93744F39EE10734AFE3FF7A087";
inline constexpr std::string_view kKdfCipherSalt = "30CBBC08863D8C85D49DB34A9AE1";
inline constexpr std::string_view kKdfAuthKey = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4";

// RFC 3711 appendix B.2: AES-CM key stream for SSRC 0, ROC 0, SEQ 0.
inline constexpr std::string_view kCmSessionKey = "2B7E151628AED2A6ABF7158809CF4F3C";
inline constexpr std::string_view kCmSessionSalt = "F0F1F2F3F4F5F6F7F8F9FAFBFCFD";
inline constexpr std::string_view kCmKeyStream =
    "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB"
    "41E95B3BB0A2E8DD477901E4FCA894C0";

// RFC 7714 §16, §17: session key 00 01 02 .., session salt "Quid pro quo".
inline constexpr std::string_view kGcmSalt = "517569642070726f2071756f";
inline constexpr std::string_view kGcmRtpHeader = "8040f17b8041f8d35501a0b2";
inline constexpr std::string_view kGcmRtpPayload =
    "47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
inline constexpr std::string_view kGcm128Rtp =
    "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
    "899d7f27beb16a9152cf765ee4390cce";
inline constexpr std::string_view kGcm256Rtp =
    "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b"
    "7aa3db36dfffd6b0f9bb7878d7a76c13";
inline constexpr std::string_view kGcmRtcp =
    "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"
    "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
inline constexpr std::string_view kGcm128Rtcp =
    "81c8000d4d617273"
    "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b"
    "c84aa45896cf4d2fc5abf87245d9eade"
    "800005d4";
inline constexpr std::string_view kGcm256Rtcp =
    "81c8000d4d617273"
    "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad"
    "1d1eb30c4446839f57ff6f6cb26ac3be"
    "800005d4";

}  // namespace spillway::vectors
