// libcurl: only what a client of SMS vendors needs. Its setters and getters are variadic, which Swift can't call: one for each kind of value.
#include <curl/curl.h>

static inline CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value) { return curl_easy_setopt(easy, option, value); }
/// libcurl copies it, but for CURLOPT_POSTFIELDS.
static inline CURLcode ccurl_set_text(CURL *easy, CURLoption option, const char *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode ccurl_set_pointer(CURL *easy, CURLoption option, void *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode ccurl_set_headers(CURL *easy, struct curl_slist *value) { return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, value); }

typedef size_t (*ccurl_data)(char *bytes, size_t size, size_t count, void *context);
/// For CURLOPT_WRITEFUNCTION, CURLOPT_HEADERFUNCTION and CURLOPT_READFUNCTION.
static inline CURLcode ccurl_set_data(CURL *easy, CURLoption option, ccurl_data call) { return curl_easy_setopt(easy, option, call); }

static inline long ccurl_status(CURL *easy) {
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}
/// Bytes of the request that were sent, its head included: 0 = the server can't have seen anything of it.
static inline long ccurl_request_bytes(CURL *easy) {
    long bytes = 0;
    curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes;
}
static inline void *ccurl_private(CURL *easy) {
    char *value = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &value);
    return value;
}

typedef int (*ccurl_socket)(CURL *easy, curl_socket_t socket, int what, void *context, void *of_socket);
typedef int (*ccurl_timer)(CURLM *multi, long milliseconds, void *context);
static inline CURLMcode ccurl_watch(CURLM *multi, ccurl_socket socket, ccurl_timer timer, void *context) {
    CURLMcode code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket);
    if (code == CURLM_OK) code = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, context);
    if (code == CURLM_OK) code = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer);
    if (code == CURLM_OK) code = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, context);
    return code;
}
static inline CURLMcode ccurl_bound(CURLM *multi, long connections) {
    CURLMcode code = curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
    return code == CURLM_OK ? curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections) : code;
}
/// The next transfer that has ended, or NULL; its easy handle and code.
static inline CURL *ccurl_ended(CURLM *multi, CURLcode *code) {
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) continue;
        *code = message->data.result;
        return message->easy_handle;
    }
    return NULL;
}

/// CURL_SOCKET_TIMEOUT, a cast that Swift can't read.
static const curl_socket_t ccurl_no_socket = CURL_SOCKET_TIMEOUT;
