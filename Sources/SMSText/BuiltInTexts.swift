/// What a message is for, as far as its wording goes.
public enum TextKind: String, Sendable, CaseIterable {
    case login
    /// Amount and payee first.
    case payment
    /// Any other purpose; a payment too, while its request names no amount.
    case code
}

/// The wordings that ship. Of each text, forms from the fullest to the shortest: the first whose worst case fits is taken, so "never share it" and the
/// shop's name stand where there is room.
///
/// Minutes are abbreviated, or in a form that goes with every number: near the end of a code's life it is one.
///
/// Where GSM 03.38 lacks a language's letters (ó, ç, ş, ł …) the wording is made of words that do without them.
public enum BuiltInTexts {
    /// The languages, in the order of the README.
    public static let locales = ["en", "de", "fr", "es", "it", "pt", "pt-PT", "pl", "tr", "ar", "hi", "zh", "zh-Hant"]

    /// The forms of one text.
    public static func forms(_ kind: TextKind, _ locale: String) -> [String] {
        switch kind {
        case .login: login[locale] ?? []
        case .payment: payment[locale] ?? []
        case .code: code[locale] ?? []
        }
    }

    private static let login: [String: [String]] = [
        "en": [
            "{code} is your {shop} sign-in code. It expires in {minutes} min. Never share it.",
            "{code} is your {shop} sign-in code, valid for {minutes} min.",
        ],
        "de": [
            "{code} ist Ihr Anmeldecode für {shop}. Er gilt {minutes} Min. Geben Sie ihn an niemanden weiter.",
            "{code} ist Ihr Anmeldecode für {shop}, gültig {minutes} Min.",
        ],
        "fr": [
            "{code} est votre code de connexion {shop}. Il expire dans {minutes} min. Ne le communiquez à personne.",
            "{code} est votre code de connexion {shop}, valable {minutes} min.",
        ],
        "es": [
            "{code} es su clave de acceso a {shop}. Caduca en {minutes} min. No la comparta con nadie.",
            "{code} es su clave de acceso a {shop}. Caduca en {minutes} min.",
        ],
        "it": [
            "{code} è il codice di accesso a {shop}. Scade tra {minutes} min. Non comunicarlo a nessuno.",
            "{code} è il codice di accesso a {shop}. Scade tra {minutes} min.",
        ],
        "pt": [
            "Use {code} para entrar em {shop}. Expira em {minutes} min. Nunca compartilhe.",
            "Use {code} para entrar em {shop}. Expira em {minutes} min.",
        ],
        "pt-PT": [
            "Use {code} para entrar em {shop}. Expira em {minutes} min. Nunca partilhe.",
            "Use {code} para entrar em {shop}. Expira em {minutes} min.",
        ],
        "pl": [
            "{code} to kod logowania do {shop}. Wygasa za {minutes} min. Nikomu go nie podawaj.",
            "{code} to kod logowania do {shop}. Wygasa za {minutes} min.",
        ],
        "tr": [
            "{code}, {shop} oturum kodunuz. {minutes} dakika sonra sona erer. Kodu kimseye vermeyin.",
            "{code}, {shop} oturum kodunuz. {minutes} dk sonra sona erer.",
        ],
        "ar": ["رمز الدخول إلى {shop} هو {code}. صالح لمدة {minutes} د. لا تشاركه مع أحد.", "رمز الدخول إلى {shop} هو {code} ({minutes} د)"],
        "hi": [
            "{code} आपका {shop} लॉग-इन कोड है। {minutes} मिनट तक मान्य। इसे किसी को न बताएँ।",
            "{code} आपका {shop} लॉग-इन कोड है ({minutes} मिनट)।",
        ],
        "zh": ["【{shop}】登录验证码 {code}，{minutes} 分钟内有效，请勿告诉他人。", "【{shop}】登录验证码 {code}，{minutes} 分钟内有效。"],
        "zh-Hant": ["【{shop}】登入驗證碼 {code}，{minutes} 分鐘內有效，請勿告訴他人。", "【{shop}】登入驗證碼 {code}，{minutes} 分鐘內有效。"],
    ]

    private static let code: [String: [String]] = [
        "en": [
            "{code} is your {shop} code. It expires in {minutes} min. Never share it.",
            "{code} is your {shop} code, valid for {minutes} min.",
        ],
        "de": [
            "{code} ist Ihr Code für {shop}. Er gilt {minutes} Min. Geben Sie ihn an niemanden weiter.",
            "{code} ist Ihr Code für {shop}, gültig {minutes} Min.",
        ],
        "fr": [
            "{code} est votre code {shop}. Il expire dans {minutes} min. Ne le communiquez à personne.",
            "{code} est votre code {shop}, valable {minutes} min.",
        ],
        "es": [
            "{code} es su clave de {shop}. Caduca en {minutes} min. No la comparta con nadie.",
            "{code} es su clave de {shop}. Caduca en {minutes} min.",
        ],
        "it": [
            "{code} è il codice per {shop}. Scade tra {minutes} min. Non comunicarlo a nessuno.",
            "{code} è il codice per {shop}. Scade tra {minutes} min.",
        ],
        "pt": [
            "Use {code} em {shop}. Expira em {minutes} min. Nunca compartilhe.", "Use {code} em {shop}. Expira em {minutes} min.",
        ],
        "pt-PT": [
            "Use {code} em {shop}. Expira em {minutes} min. Nunca partilhe.", "Use {code} em {shop}. Expira em {minutes} min.",
        ],
        "pl": [
            "{code} to kod {shop}. Wygasa za {minutes} min. Nikomu go nie podawaj.", "{code} to kod {shop}. Wygasa za {minutes} min.",
        ],
        "tr": [
            "{code}, {shop} kodunuz. {minutes} dakika sonra sona erer. Kodu kimseye vermeyin.",
            "{code}, {shop} kodunuz. {minutes} dk sonra sona erer.",
        ],
        "ar": ["رمزك لدى {shop} هو {code}. صالح لمدة {minutes} د. لا تشاركه مع أحد.", "رمزك لدى {shop} هو {code} ({minutes} د)"],
        "hi": ["{code} आपका {shop} कोड है। {minutes} मिनट तक मान्य। इसे किसी को न बताएँ।", "{code} आपका {shop} कोड है ({minutes} मिनट)।"],
        "zh": ["【{shop}】验证码 {code}，{minutes} 分钟内有效，请勿告诉他人。", "【{shop}】验证码 {code}，{minutes} 分钟内有效。"],
        "zh-Hant": ["【{shop}】驗證碼 {code}，{minutes} 分鐘內有效，請勿告訴他人。", "【{shop}】驗證碼 {code}，{minutes} 分鐘內有效。"],
    ]

    /// Arabic begins with an Arabic word: the first letter decides which way a telephone lays the line out. Between payee and code stands a word: digits
    /// right after a name that is written the other way would be shown before it.
    private static let payment: [String: [String]] = [
        "en": [
            "Pay {amount} to {payee}: code {code} for {shop}. It expires in {minutes} min. Never share it.",
            "Pay {amount} to {payee}: code {code}, valid {minutes} min. Never share it.",
            "Pay {amount} to {payee}: code {code} ({minutes} min)",
        ],
        "de": [
            "{amount} an {payee} zahlen: {code} ist Ihr Code für {shop}. Er gilt {minutes} Min. Nie weitergeben.",
            "{amount} an {payee} zahlen: Code {code}, gilt {minutes} Min. Nie weitergeben.",
            "{amount} an {payee} zahlen: Code {code} ({minutes} Min)",
        ],
        "fr": [
            "Payer {amount} à {payee} : code {code} pour {shop}. Il expire dans {minutes} min. Ne le communiquez à personne.",
            "Payer {amount} à {payee} : code {code}, valable {minutes} min. Ne le donnez jamais.",
            "Payer {amount} à {payee} : code {code} ({minutes} min)",
        ],
        "es": [
            "Pagar {amount} a {payee}: clave {code} de {shop}. Caduca en {minutes} min. No la comparta con nadie.",
            "Pagar {amount} a {payee}: clave {code}, caduca en {minutes} min. No la comparta.",
            "Pagar {amount} a {payee}: clave {code} ({minutes} min)",
        ],
        "it": [
            "Pagare {amount} a {payee}: codice {code} per {shop}. Scade tra {minutes} min. Non comunicarlo a nessuno.",
            "Pagare {amount} a {payee}: codice {code}, scade tra {minutes} min. Non comunicarlo.",
            "Pagare {amount} a {payee}: codice {code} ({minutes} min)",
        ],
        "pt": [
            "Pagar {amount} a {payee}: use {code} em {shop}. Expira em {minutes} min. Nunca compartilhe.",
            "Pagar {amount} a {payee}: use {code}, expira em {minutes} min. Nunca compartilhe.",
            "Pagar {amount} a {payee}: use {code} ({minutes} min)",
        ],
        "pt-PT": [
            "Pagar {amount} a {payee}: use {code} em {shop}. Expira em {minutes} min. Nunca partilhe.",
            "Pagar {amount} a {payee}: use {code}, expira em {minutes} min. Nunca partilhe.",
            "Pagar {amount} a {payee}: use {code} ({minutes} min)",
        ],
        "pl": [
            "{amount} dla {payee}: kod {code} ({shop}). Wygasa za {minutes} min. Nikomu go nie podawaj.",
            "{amount} dla {payee}: kod {code}, wygasa za {minutes} min. Nikomu go nie podawaj.",
            "{amount} dla {payee}: kod {code} ({minutes} min)",
        ],
        "tr": [
            "Ödeme: {amount}, {payee}. Kod: {code} ({shop}). {minutes} dk sonra sona erer. Kodu kimseye vermeyin.",
            "Ödeme: {amount}, {payee}. Kod: {code}, {minutes} dk sonra sona erer. Kimseye vermeyin.",
            "Ödeme: {amount}, {payee}. Kod: {code} ({minutes} dk)",
        ],
        "ar": [
            "دفع {amount} إلى {payee}: رمزك لدى {shop} هو {code}. صالح لمدة {minutes} د. لا تشاركه مع أحد.",
            "دفع {amount} إلى {payee}: الرمز {code}، صالح لمدة {minutes} د. لا تشاركه.",
            "دفع {amount} إلى {payee}: الرمز {code} ({minutes} د)",
        ],
        "hi": [
            "{amount} का भुगतान {payee} को: {code} आपका {shop} कोड है। {minutes} मिनट तक मान्य। किसी को न बताएँ।",
            "{amount} का भुगतान {payee} को: कोड {code}, {minutes} मिनट तक। किसी को न बताएँ।",
            "{amount} का भुगतान {payee} को: कोड {code} ({minutes} मिनट)",
        ],
        "zh": [
            "【{shop}】支付 {amount} 给 {payee}，验证码 {code}，{minutes} 分钟内有效，请勿告诉他人。",
            "支付 {amount} 给 {payee}，验证码 {code}，{minutes} 分钟内有效，请勿告诉他人。",
            "支付 {amount} 给 {payee}，验证码 {code}，{minutes} 分钟内有效。",
        ],
        "zh-Hant": [
            "【{shop}】支付 {amount} 給 {payee}，驗證碼 {code}，{minutes} 分鐘內有效，請勿告訴他人。",
            "支付 {amount} 給 {payee}，驗證碼 {code}，{minutes} 分鐘內有效，請勿告訴他人。",
            "支付 {amount} 給 {payee}，驗證碼 {code}，{minutes} 分鐘內有效。",
        ],
    ]
}
