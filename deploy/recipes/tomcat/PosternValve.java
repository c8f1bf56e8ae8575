import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.realm.GenericPrincipal;
import org.apache.catalina.valves.ValveBase;

import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpSession;

/**
 * Makes what Postern says of the caller what the application asks Tomcat for:
 * getRemoteUser(), isUserInRole(), and the security constraints of a web.xml.
 * For Tomcat 10.1 and later; server.xml has its line. Build it into Tomcat's lib:
 *
 *   javac -cp "/usr/share/tomcat10/lib/*" -d /var/lib/tomcat10/lib PosternValve.java
 */
public class PosternValve extends ValveBase {

    private static final String OWNER = "postern.user";

    public PosternValve() {
        super(true); // takes part in asynchronous requests
    }

    @Override
    public void invoke(Request request, Response response) throws IOException, ServletException {
        String name = header(request, "X-Remote-User");
        if (!name.isEmpty()) {
            request.setUserPrincipal(new GenericPrincipal(name, List.of(header(request, "X-Auth-Roles").split(","))));
            request.setAuthType("POSTERN");
        }
        own(request, name);
        getNext().invoke(request, response);
        if (!request.isAsync()) {
            own(request, name); // the session that the application began
        }
    }

    /**
     * A session outlives the logout at Postern. Whoever comes with the session of
     * somebody else, as the next user of a browser does, begins a new one.
     */
    private static void own(Request request, String name) {
        HttpSession session = request.getSession(false);
        if (session == null) {
            return;
        }
        Object owner = session.getAttribute(OWNER);
        if (owner == null) {
            session.setAttribute(OWNER, name);
        } else if (!owner.equals(name)) {
            session.invalidate();
        }
    }

    /** Postern writes UTF-8, Tomcat reads ISO-8859-1. */
    private static String header(Request request, String name) {
        String value = request.getHeader(name);
        return value == null ? "" : new String(value.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }
}
