import java.io.FileInputStream;
import java.net.URI;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/** One transport of the broker, from the runner's environment. */
final class Address {
    final String label;
    final String host;
    final int port;
    final String path;
    final String user;
    final String password;

    private Address(String label, String url) {
        URI uri = URI.create(url);
        String[] login = uri.getUserInfo().split(":", 2);
        this.label = label;
        this.host = uri.getHost();
        this.port = uri.getPort();
        this.path = uri.getPath();
        this.user = login[0];
        this.password = login[1];
    }

    /** Those that the runner offers; the others are reported as skipped. */
    static List<Address> all() {
        List<Address> found = new ArrayList<>();
        String[][] names = {{"tcp", "MQTT_URL"}, {"tls", "MQTTS_URL"}, {"ws", "MQTT_WS_URL"}};
        for (String[] name : names) {
            String url = System.getenv(name[1]);
            if (url == null) System.out.println("skip " + name[0]);
            else found.add(new Address(name[0], url));
        }
        return found;
    }

    boolean isTls() {
        return label.equals("tls");
    }

    boolean isWebSocket() {
        return label.equals("ws");
    }

    /** As Paho writes addresses. */
    String server() {
        String scheme = isTls() ? "ssl" : isWebSocket() ? "ws" : "tcp";
        return scheme + "://" + host + ":" + port + (isWebSocket() ? path : "");
    }

    /** Trusts the runner's authority. */
    TrustManagerFactory trust() throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (FileInputStream file = new FileInputStream(System.getenv("TLS_DIRECTORY") + "/ca.pem")) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return factory;
    }

    SSLSocketFactory sockets() throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust().getTrustManagers(), null);
        return context.getSocketFactory();
    }
}
