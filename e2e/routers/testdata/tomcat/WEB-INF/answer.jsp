<%@ page contentType="text/plain; charset=UTF-8" session="false" trimDirectiveWhitespaces="true" %><%
// Says which pattern Tomcat chose. What follows a prefix is for the servlet to
// read: these two take one segment of it, as {id} does.
String name = request.getHttpServletMapping().getServletName();
String info = request.getPathInfo();
String id = "";
if (info != null && (name.equals("item") || name.equals("user"))) {
    String[] segments = info.split("/", 3);
    id = segments[1];
    if (id.isEmpty() || name.equals("item") && segments.length > 2) {
        name = "rest";
    }
} else if (name.equals("item")) {
    name = "rest";
}
out.print(name + "\t" + id);
%>
