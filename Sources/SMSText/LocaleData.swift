// Made by scripts/make-text-data.py from ICU 78.3, CLDR 48, Unicode 17.0, ISO 4217 of 2026-01-01. Don't edit.

/// How amounts are written; `AmountStyle` and `Currency` read it.
enum LocaleData {
    /// Of each line: decimal sign, group sign (`_` is a space), size of the last group and of the others, digits that must stand
    /// before the first group sign, place of the code; then the locales. One that isn't here writes as its parent does.
    static let styles = """
        , _ 3 3 1 first af blo en-za es-cr os rm
        , _ 3 3 1 last agq bas br bua cs cv dua dyo en-cz en-ge en-hu en-no en-se en-ua eo ewo ff fi fr \
        kab kea kk ksf ksh ky lt nb nmg nn no oc prg pt-ao ru sah se shi sk smn sv szl tg tk tt tzm uk uz \
        vec yav zgh
        . , 3 3 1 last ar asa bez ce en-150 he km ksb lg luo my rwk sbp xog
        , . 3 3 1 last ar-dz ar-lb ar-ly ar-ma ar-mr ar-tn ast az bs ca da de dsb el en-dk en-pl en-ro eu \
        fo fr-lu fr-ma gl hr hsb is ku lb lij ln lu mk nds pms rn ro sc seh sr vi vmw
        . , 3 2 1 first as bn-in brx dz en-in gu hi kok kxv ne pa sa ta te xnr
        . _ 3 3 1 last ba dje khq ses twq
        , _ 3 3 2 last be bg et hu hy ka lv pl pt-ch pt-gq pt-gw pt-lu pt-mo pt-mz pt-pt pt-st pt-tl ru-ua \
        sq
        . , 3 2 1 last bn ccp
        , . 3 3 1 first de-at en-at en-id es-ar es-bo es-cl es-co es-ec es-py es-uy es-ve fur fy id jgo jv \
        kgp kkj kl lo mgh ms-bn ms-id mua nl nnh ps pt qu-bo rw scn sg su sw-cd tr uz-arab wo yrl
        . ' 3 3 1 first de-ch de-li en-ch tn
        . , 3 3 3 first ee
        , . 3 3 2 last es it sl
        . , 3 3 1 first es-419 es-br es-bz es-cu es-do es-gt es-hn es-mx es-ni es-pa es-pe es-pr es-sv \
        es-us kk-arab ks-deva pa-arab ta-my ta-sg
        , . 3 3 2 first es-gq ia
        . ⹁ 3 3 1 first ff-adlm
        . ' 3 3 1 last fr-ch gsw
        , _ 3 3 2 first ie
        . ' 3 3 2 first it-ch
        $ _ 3 3 1 last kea-cv
        . ، 3 3 1 first ks nqo
        , ' 3 3 1 first lmo wae
        . _ 3 3 1 first mfe tyv xh
        $ _ 3 3 2 last pt-cv
        , _ 2 2 1 first tok
        """

    /// The style of a language that isn't here.
    static let root = ". , 3 3 1 first"

    /// ISO 4217: code, digits after the point.
    static let currencies = """
        AED2 AFN2 ALL2 AMD2 AOA2 ARS2 AUD2 AWG2 AZN2 BAM2 BBD2 BDT2 BHD3 BIF0 BMD2 BND2 BOB2 BOV2 BRL2 \
        BSD2 BTN2 BWP2 BYN2 BZD2 CAD2 CDF2 CHE2 CHF2 CHW2 CLF4 CLP0 CNY2 COP2 COU2 CRC2 CUP2 CVE2 CZK2 \
        DJF0 DKK2 DOP2 DZD2 EGP2 ERN2 ETB2 EUR2 FJD2 FKP2 GBP2 GEL2 GHS2 GIP2 GMD2 GNF0 GTQ2 GYD2 HKD2 \
        HNL2 HTG2 HUF2 IDR2 ILS2 INR2 IQD3 IRR2 ISK0 JMD2 JOD3 JPY0 KES2 KGS2 KHR2 KMF0 KPW2 KRW0 KWD3 \
        KYD2 KZT2 LAK2 LBP2 LKR2 LRD2 LSL2 LYD3 MAD2 MDL2 MGA2 MKD2 MMK2 MNT2 MOP2 MRU2 MUR2 MVR2 MWK2 \
        MXN2 MXV2 MYR2 MZN2 NAD2 NGN2 NIO2 NOK2 NPR2 NZD2 OMR3 PAB2 PEN2 PGK2 PHP2 PKR2 PLN2 PYG0 QAR2 \
        RON2 RSD2 RUB2 RWF0 SAR2 SBD2 SCR2 SDG2 SEK2 SGD2 SHP2 SLE2 SOS2 SRD2 SSP2 STN2 SVC2 SYP2 SZL2 \
        THB2 TJS2 TMT2 TND3 TOP2 TRY2 TTD2 TWD2 TZS2 UAH2 UGX0 USD2 USN2 UYI0 UYU2 UYW4 UZS2 VED2 VES2 \
        VND0 VUV0 WST2 XAD2 XAF0 XCD2 XCG2 XOF0 XPF0 YER2 ZAR2 ZMW2 ZWG2
        """
}
