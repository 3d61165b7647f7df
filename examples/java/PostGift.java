import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/**
 * Posts one gift. Java 11 or newer, no compiling:
 *
 * <pre>SKY_URL=http://localhost:8080 java PostGift.java 280 2026-07-01 25.00</pre>
 */
class PostGift {
    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 3) {
            System.err.println("usage: PostGift CONSTITUENT DATE AMOUNT");
            System.exit(2);
        }
        String base = System.getenv().getOrDefault("SKY_URL", "http://localhost:8080");
        String gift = String.format("{\"constituent_id\":\"%s\",\"date\":\"%s\",\"amount\":{\"value\":%s}}", (Object[]) arguments);
        // This client offers h2c with an Upgrade header by default; the sidecar answers HTTP/1.1 all the same.
        var request = HttpRequest.newBuilder(URI.create(base + "/gift/v1/gifts"))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(gift))
                .build();
        var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
        var stream = answer.statusCode() == 200 ? System.out : System.err;
        // The sidecar's own answers are problem documents whose detail says what to do.
        stream.println(answer.body());
        System.exit(answer.statusCode() == 200 ? 0 : 1);
    }
}
