import Testing

@testable import HTTPGateway

/// A vendor that is written in a configuration file.
@Suite struct GenericTests {
    private let sms = OutboundSMS(
        phone: "+33612345678", text: "Your code is \"48 39\"\n@shop.example #4839", sender: "Fleur", lifeSeconds: 61, key: "k-1",
        callback: "https://shop.example/sms?x=1")

    private func vendor(_ change: (inout GenericHTTP.Settings) -> Void) throws -> GenericHTTP {
        var settings = GenericHTTP.Settings()
        settings.url = "https://sms.example/v1"
        settings.body = "to={phone}&text={text}"
        settings.user = "shop"
        settings.secret = Credential(Array("p4ss".utf8))
        change(&settings)
        return try GenericHTTP(settings)
    }

    @Test func valuesAreEscapedForTheirPlace() throws {
        let form = try vendor { $0.url = "https://sms.example/{phone}/{sender}" }.request(for: sms, unixSeconds: 0)
        #expect(form.url == "https://sms.example/%2B33612345678/Fleur")
        #expect(form.body == Array("to=%2B33612345678&text=Your+code+is+%2248+39%22%0A%40shop.example+%234839".utf8))
        let json = try vendor {
            $0.contentType = "application/json; charset=utf-8"
            $0.body = #"{"to": ["{phone_digits}"], "ttl": {life_seconds}, "min": {life_minutes}, "t": "{text}", "x": {}, "{": 1}"#
            $0.headers = [("Authorization", "{basic}"), ("X-Key", "{key} {user}")]
        }.request(for: sms, unixSeconds: 0)
        #expect(
            String(decoding: json.body, as: UTF8.self)
                == #"{"to": ["33612345678"], "ttl": 61, "min": 2, "t": "Your code is \"48 39\"\n@shop.example #4839", "x": {}, "{": 1}"#)
        #expect(json.header("authorization") == "Basic c2hvcDpwNHNz" && json.header("x-key") == "k-1 shop")
        let xml = try vendor {
            $0.contentType = "text/xml"
            $0.body = "<to>{phone}</to><t>{text}</t>"
        }.request(for: sms, unixSeconds: 0)
        #expect(String(decoding: xml.body, as: UTF8.self).contains("<t>Your code is &quot;48 39&quot;&#10;@shop"))
    }

    @Test func getHasNoBody() throws {
        let get = try vendor {
            $0.method = "GET"
            $0.body = ""
            $0.url = "https://sms.example/send?to={phone}&m={text}&cb={callback}"
        }.request(for: sms, unixSeconds: 0)
        #expect(get.method == "GET" && get.body.isEmpty && get.headers.isEmpty)
        #expect(get.url.hasSuffix("&cb=https%3A%2F%2Fshop.example%2Fsms%3Fx%3D1"))
    }

    @Test func answersAreReadAsConfigured() throws {
        let vendor = try vendor {
            $0.success = [200, 202]
            $0.equals = "messages.0.status=0"
            $0.id = "messages.0.id"
            $0.code = "error.code"
            $0.meanings = ["1001": .number, "401": .transient, "9": .ambiguous]
        }
        func verdict(_ status: Int, _ body: String) -> SubmitVerdict {
            vendor.verdict(on: HTTPResponse(status: status, body: Array(body.utf8)), to: sms)
        }
        #expect(verdict(202, #"{"messages": [{"status": 0, "id": "a7"}]}"#) == .accepted(id: "a7"))
        #expect(verdict(201, #"{"messages": [{"status": 0, "id": "a7"}]}"#) == .ambiguous("HTTP 201, and its body can't be read"))
        #expect(verdict(200, #"{"messages": [{"status": 4}], "error": {"code": 1001}}"#) == .permanentNumber("HTTP 200, code 1001"))
        #expect(verdict(401, "") == .transient("HTTP 401", retryAfterSeconds: nil), "its own meaning goes first")
        #expect(verdict(403, "") == .permanentRoute("HTTP 403"))
        #expect(verdict(400, #"{"error": {"code": "9"}}"#) == .ambiguous("HTTP 400, code 9"))
        #expect(verdict(400, #"{"error": {"code": "the text 4839"}}"#) == .permanentNumber("HTTP 400"), "prose is left out")
    }

    @Test func anIdMayStandInAHeader() throws {
        let vendor = try vendor {
            $0.contains = "OK"
            $0.idHeader = "X-Id"
        }
        let answer = HTTPResponse(status: 200, headers: [("x-id", "77")], body: Array("OK then".utf8))
        #expect(vendor.verdict(on: answer, to: sms) == .accepted(id: "77"))
        #expect(vendor.verdict(on: HTTPResponse(status: 200, body: Array("ERR".utf8)), to: sms) != .accepted(id: ""))
    }

    @Test func whatCanNotWorkIsRefused() throws {
        func mistake(_ change: (inout GenericHTTP.Settings) -> Void) -> String? {
            do {
                _ = try vendor(change)
                return nil
            } catch let error as GenericHTTP.Mistake { return error.setting } catch { return "\(error)" }
        }
        #expect(mistake { $0.body = "to={fone}&text={text}" } == "body")
        #expect(mistake { $0.body = "to={phone}" } == "body")
        #expect(mistake { $0.url = "https://sms.example/{number}" } == "url")
        #expect(mistake { $0.method = "PUT" } == "method")
        #expect(mistake { $0.method = "GET" } == "body")
        #expect(mistake { $0.headers = [("X-Text", "{text}")] } == "headers")
        #expect(mistake { $0.headers = [("X: Y", "1")] } == "headers")
        #expect(mistake { $0.equals = "status" } == "equals")
        #expect(mistake { _ in } == nil)
    }
}
