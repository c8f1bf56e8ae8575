<%@ page session="false" trimDirectiveWhitespaces="true" import="
    java.io.IOException,
    java.util.Collections,
    javax.servlet.http.*,
    org.springframework.stereotype.*,
    org.springframework.web.bind.annotation.*,
    org.springframework.web.context.support.AnnotationConfigWebApplicationContext,
    org.springframework.web.servlet.DispatcherServlet,
    org.springframework.core.io.*,
    org.springframework.web.servlet.handler.BeanNameUrlHandlerMapping,
    org.springframework.web.servlet.mvc.HttpRequestHandlerAdapter,
    org.springframework.web.servlet.mvc.method.annotation.*,
    org.springframework.web.servlet.resource.ResourceHttpRequestHandler" %><%!
/*
 * The places of places_test.go in Spring MVC. It is a page because Tomcat
 * compiles pages: so the test needs no Java compiler. Spring's settings are its
 * own, but that /admin.json is not /admin: Spring Boot has turned that off since
 * version 2, Spring since 5.3.
 */
@Controller
public static class Places {
    private static void answer(HttpServletResponse response, String name, String id) throws IOException {
        response.setContentType("text/plain;charset=UTF-8");
        response.getWriter().print(name + "\t" + id);
    }
    @RequestMapping("/") public void root(HttpServletResponse r) throws IOException { answer(r, "root", ""); }
    @RequestMapping("/exact") public void exact(HttpServletResponse r) throws IOException { answer(r, "exact", ""); }
    @RequestMapping("/Panel/**") public void panel(HttpServletResponse r) throws IOException { answer(r, "panel", ""); }
    @RequestMapping("/admin/**") public void admin(HttpServletResponse r) throws IOException { answer(r, "admin", ""); }
    @RequestMapping("/items/secret") public void secret(HttpServletResponse r) throws IOException { answer(r, "secret", ""); }
    @RequestMapping("/items/{id}") public void item(HttpServletResponse r, @PathVariable("id") String id) throws IOException { answer(r, "item", id); }
    @RequestMapping("/users") public void users(HttpServletResponse r) throws IOException { answer(r, "users", ""); }
    @RequestMapping("/users/{id}/**") public void user(HttpServletResponse r, @PathVariable("id") String id) throws IOException { answer(r, "user", id); }
    @RequestMapping("/closed/") public void closed(HttpServletResponse r) throws IOException { answer(r, "closed", ""); }
    @RequestMapping("/my page") public void page(HttpServletResponse r) throws IOException { answer(r, "page", ""); }
    @RequestMapping("/caf\u00e9") public void cafe(HttpServletResponse r) throws IOException { answer(r, "cafe", ""); }
    @RequestMapping("/open/staff/**") public void staff(HttpServletResponse r) throws IOException { answer(r, "staff", ""); }
    @RequestMapping("/open/**") public void open(HttpServletResponse r) throws IOException { answer(r, "open", ""); }
    @RequestMapping("/**") public void rest(HttpServletResponse r) throws IOException { answer(r, "rest", ""); }
}

public static class Mapping extends RequestMappingHandlerMapping {
    public Mapping() { setUseSuffixPatternMatch(Boolean.getBoolean("suffix")); }
}

/** Goes before the controllers: else their /** would answer for the files. */
public static class NamedMapping extends BeanNameUrlHandlerMapping {
    public NamedMapping() { setOrder(0); }
}

@Component("/files/**")
public static class Files extends ResourceHttpRequestHandler {
    public Files() {
        setLocations(Collections.<Resource>singletonList(new FileSystemResource(System.getProperty("catalina.base") + "/webapps/ROOT/files/")));
    }
}

private DispatcherServlet dispatcher;

public void jspInit() {
    ClassLoader page = Places.class.getClassLoader(); // that of the page, which knows the classes above
    Thread.currentThread().setContextClassLoader(page);
    AnnotationConfigWebApplicationContext context = new AnnotationConfigWebApplicationContext();
    context.setClassLoader(page);
    context.register(Places.class, Mapping.class, RequestMappingHandlerAdapter.class, HttpRequestHandlerAdapter.class, NamedMapping.class, Files.class);
    dispatcher = new DispatcherServlet(context);
    try {
        dispatcher.init(getServletConfig());
    } catch (javax.servlet.ServletException e) {
        throw new IllegalStateException(e);
    }
}
%><% dispatcher.service(request, response); %>
